use crate::config::CommandLine;
use crate::{Config, ConfigProblem, Environment, Limit};

fn parse(text: &str) -> Result<Config, ConfigProblem> {
    let environment = Environment::of([("HOME", "/home/pi"), ("BUCKET", "pi4")], "/srv");
    Config::parse(text, &environment)
}

#[test]
fn reads_repositories_and_databases() {
    let config = parse(
        "host = 'kitchen'\n[repository.local]\nurl = '${HOME}/backup/${BUCKET:-x}'\n\
         password-file = '/etc/lifeboat/password'\n[database.main]\npath = '${DATA:-/var/lib}/app.db'\n",
    )
    .unwrap();
    assert_eq!(config.host.as_deref(), Some("kitchen"));
    assert_eq!(config.repositories["local"].url, "/home/pi/backup/pi4");
    assert_eq!(config.databases["main"].path, "/var/lib/app.db");
    let config = parse(
        "[repository.local]\nurl = '/b'\nkeep = { daily = 7, weekly = 'unlimited', within-daily = '1m' }\n\
         [database.main]\npath = '/app.db'\nkeep = { last = 5, tags = ['keep', 'a,b'] }\n",
    )
    .unwrap();
    let keep = config.repositories["local"].keep.as_ref().unwrap();
    assert_eq!((keep.daily, keep.weekly), (Limit::Newest(7), Limit::Unlimited));
    assert_eq!((keep.last, keep.within_daily.months), (Limit::Newest(0), 1));
    let config = parse(
        "[repository.local]\nurl = '/b'\nkeep = '7/4/12'\n[type.full]\nkeep = 'last 5'\n\
         [type.config]\nkeep = 'all'\n[database.main]\npath = '/app.db'\nkeep = '30 days'\n",
    )
    .unwrap();
    assert_eq!(config.repositories["local"].keep, Some(crate::KeepRules::usual()));
    assert_eq!(config.types["full"].keep.as_ref().unwrap().last, Limit::Newest(5));
    assert!(config.types["config"].keep.as_ref().unwrap().is_empty());
    assert_eq!(config.databases["main"].keep.as_ref().unwrap().within.days, 30);
    let config = parse(
        "[points]\nladder = ['all for 2h', '1m for 3d']\n[database.main]\npath = '/app.db'\n\
         points = ['all for 1h']\n[database.other]\npath = '/other.db'\n",
    )
    .unwrap();
    let horizon = |name: &str| config.points_of(name).unwrap().horizon().as_secs();
    assert_eq!((horizon("main"), horizon("other")), (3600, 3 * 86_400));
    let text = toml::to_string(&config).unwrap();
    assert_eq!(parse(&text).unwrap(), config, "{text}");
    let config = parse(
        "[hooks]\nbefore = 'mount /mnt'\ntimeout = '30s'\n[database.main]\npath = '/app.db'\n\
         hooks = { after = ['systemctl', 'start', 'app'], on-failure = 'mail $USER' }\n",
    )
    .unwrap();
    assert_eq!(config.hooks.before, Some(CommandLine::Shell("mount /mnt".to_owned())));
    assert_eq!(
        config.databases["main"].hooks.after.as_ref().unwrap().to_string(),
        "systemctl start app"
    );
    let text = toml::to_string(&config).unwrap();
    assert_eq!(parse(&text).unwrap(), config, "{text}");
}

#[test]
fn reads_how_stores_are_reached() {
    let text = "[s3]\nbucket = 'pisovereign-backups'\nregion = 'eu-central-1'\nprefix = '/pi4/'\n\
         endpoint = 'https://s3.example'\nsecret-key = 'hidden'\naccess-key = 'id'\n\
         object-lock = { mode = 'compliance', days = 30 }\n[repository.pi5]\nappend-only = true\n\
         url = 'sftp://pi@pi5/backups'\nupload-limit = '08:00,512K 23:00,off'\n[database.main]\npath = '/a.db'\n";
    let config = parse(text).unwrap();
    let s3 = &config.repositories["s3"];
    assert_eq!(s3.url, "s3://pisovereign-backups/pi4");
    assert_eq!(s3.store.region.as_deref(), Some("eu-central-1"));
    assert_eq!(s3.store.secret_key.as_ref().unwrap().expose(), "hidden");
    assert_eq!(s3.store.object_lock.unwrap().days, 30);
    assert!(config.repositories["pi5"].append_only && !s3.append_only);
    let shown = format!("{config:?}{}", toml::to_string(&config).unwrap());
    assert!(!shown.contains("hidden") && shown.contains("512K"), "{shown}");
    for (wrong, problem) in [
        ("[s3]\nregion = 'x'\n", "no bucket"),
        ("[s3]\nbukket = 'x'\n", "did you mean `bucket`"),
        ("[s3]\nbucket = 'x'\n[repository.s3]\nurl = '/x'\n", "one of both"),
        ("[repository.a]\nurl = '/x'\nupload-limit = 'fast'\n", "expected a rate"),
        ("[repository.a]\nurl = '/x'\nregio = 'x'\n", "did you mean `region`"),
        ("[repository.a]\nregion = 'x'\n", "missing field `url`"),
    ] {
        let found = parse(wrong).unwrap_err().problem;
        assert!(found.contains(problem), "{wrong}: {found}");
    }
}

#[test]
fn reads_files_commands_and_devices() {
    let text = "[files.etc]\npaths = ['/etc/app', '${HOME}/x']\nexclude = ['*.tmp', '!keep.tmp']\non-change = true\n\
         exclude-larger-than = '1GiB'\nexclude-if-present = ['.nobackup']\nkeep = 'last 5'\ndebounce = '1s'\n\
         [files.all]\npreset = 'system'\ndatabases = false\none-file-system = true\n\
         [command.vault]\nrun = ['vault', 'snapshot']\nfile-name = 'vault.snap'\ntimeout = '10m'\n\
         environment = { ADDRESS = 'here' }\n[device.card]\npath = '/dev/mmcblk0'\n\
         [database.main]\npath = '/app.db'\n[type.weekly]\nsources = ['card', 'main']\n";
    let config = parse(text).unwrap();
    assert_eq!(config.files["etc"].paths[1].to_str(), Some("/home/pi/x"));
    assert_eq!(config.keep_of("etc").unwrap().last, Limit::Newest(5));
    assert_eq!(config.commands["vault"].run.to_string(), "vault snapshot");
    let sources = |of| config.sources_of_type(of);
    assert_eq!(sources("full"), ["main", "all", "etc", "vault", "card"]);
    assert_eq!(sources("config"), ["etc"]);
    assert_eq!(sources("incremental"), ["main", "all", "vault"]);
    assert_eq!(sources("weekly"), ["card", "main"]);
    let text = toml::to_string(&config).unwrap();
    assert_eq!(parse(&text).unwrap(), config, "{text}");
}

#[test]
fn what_its_parts_do_not_show_to_be_wrong_is_refused() {
    for (text, expected) in [
        ("[files.a]\n", "[files.a]: it needs `paths` or a `preset`"),
        (
            "[files.a]\npaths = ['/']\npreset = 'system'\n",
            "[files.a]: `paths` and `preset` exclude",
        ),
        (
            "[database.a]\npath = '/x'\n[files.a]\npaths = ['/']\n",
            "[database.a] and [files.a]: two sources cannot have one name",
        ),
        ("[type.x]\nsources = ['b']\n", "[type.x]: there is no source b"),
        ("[files.a]\npath = ['/']\n", "unknown key `files.a.path`; did you mean `paths`?"),
        ("[command.a]\nfile-name = 'x'\n", "missing field `run`"),
        ("[files.a]\npreset = 'all'\n", "unknown variant `all`, expected `system`"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.problem.starts_with(expected), "{text:?}: {error:?}");
    }
}

#[test]
fn says_what_is_wrong_and_where() {
    let cases = [
        ("[repositry.local]\nurl = 'x'", 1, "unknown key `repositry`; did you mean `repository`?"),
        (
            "[repository.a]\nurl = 'x'\npasword-file = 'x'",
            3,
            "unknown key `repository.a.pasword-file`; did you mean `password-file`?",
        ),
        (
            "\n[database.a]\nfoo = 1",
            3,
            "unknown key `database.a.foo`; valid keys are `path`, `replicate`, `points`, `keep`, `hooks`",
        ),
        ("\n[database.a]\n", 2, "missing field `path`"),
        ("[database.a]\npath = 7", 2, "invalid type: integer `7`, expected a string"),
        ("[database.a]\n# not ${THIS}\npath = '${NOWHERE}'", 3, "the variable NOWHERE is not set"),
        ("[database.a]\npath = '${NOWHERE'", 2, "a `${` is not closed"),
        (
            "[database.a]\npath = 'x'\nkeep = { dayly = 1 }",
            3,
            "unknown key `database.a.keep.dayly`; did you mean `daily`?",
        ),
        ("[database.a]\npath = 'x'\nkeep = 5", 3, "`database.a.keep` must be rules: { daily"),
        (
            "[database.a]\npath = 'x'\nkeep = 'last five'",
            3,
            "expected rules like \"last 5\", \"30 days\", \"7/4/12\" (days/weeks/months) or \"all\"",
        ),
        (
            "[points]\nladder = ['all for 1h', '30s for 1h']",
            2,
            "expected a rung that keeps longer than the one before, found \"30s for 1h\"",
        ),
        (
            "[database.a]\npath = 'x'\npoints = ['all for 1h', 'often']",
            3,
            "expected a rung like \"all for 1h\" or \"30s for 24h\", found \"often\"",
        ),
        ("[points]\nladers = []", 2, "unknown key `points.laders`; did you mean `ladder`?"),
        ("points = 5", 1, "`points` must be a table"),
        ("[hooks]\nafer = 'true'", 2, "unknown key `hooks.afer`; did you mean `after`?"),
        (
            "[database.a]\npath = 'x'\nhooks = { before = 5 }",
            3,
            "expected a command: \"a | b\" for the shell, or [\"a\", \"b\"]",
        ),
        ("[hooks]\nafter = []", 2, "a command may not be empty"),
        ("[hooks]\nbefore = ' '", 2, "a command may not be empty"),
        ("[hooks]\ntimeout = '5'", 2, "expected a time like 1s or 5m"),
        ("[type.full]\nkep = 'all'", 2, "unknown key `type.full.kep`; did you mean `keep`?"),
        (
            "[database.a]\npath = 'x'\nkeep = { daily = -1 }",
            3,
            "invalid value: integer `-1`, expected a number or \"unlimited\"",
        ),
        (
            "[database.a]\npath = 'x'\nkeep = { within = '1w' }",
            3,
            "expected an age like 1y2m3d4h, found \"1w\"",
        ),
        ("a = = 1", 1, ""),
        ("[repository]\nurl = 'x'", 2, "`repository.url` must be a table"),
    ];
    for (text, line, expected) in cases {
        let error = parse(text).unwrap_err();
        assert!(error.problem.starts_with(expected), "{text:?}: {error:?}");
        assert_eq!(error.line, Some(line), "{text:?}: {error:?}");
    }
    let error = parse("[type.Full]\nkeep = 'all'").unwrap_err();
    assert!(
        error.problem.starts_with("[type.Full]: expected a type of a-z, 0-9 and -"),
        "{error:?}"
    );
}
