//! The owner gives the permission to use Google Drive, and backs up there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::SystemTime;

use lifeboat_servers::drive::Emulator;
use serde_json::{Value, json};

use crate::common::{Database, Home, Ran};
use crate::places::write_config;

fn home(emulator: &Emulator) -> (Home, Database) {
    let home = Home::new();
    let database = Database::create(&home.path("app/data/app.db"), "wal", 20);
    let table = format!("url = 'gdrive://Lifeboat'\nendpoint = '{}'\n", emulator.server.url());
    write_config(&home, &[("drive", table)]);
    let client =
        json!({ "installed": { "client_id": "client-id", "client_secret": "client-secret" } });
    home.write("client.json", client.to_string());
    (home, database)
}

/// Where the page of consent sends the browser.
fn consent(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("Location: "));
    location.unwrap().to_owned()
}

/// Gives the permission as on a machine without a browser; what the program printed then.
fn authorize(home: &Home, paste: impl FnOnce(String) -> String) -> Ran {
    let mut command =
        home.command(&["auth", "gdrive", "--headless", "--client", "client.json", "--json"]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let open: Value = serde_json::from_str(&line).unwrap();
    let pasted = paste(consent(open["url"].as_str().unwrap()));
    writeln!(child.stdin.take().unwrap(), "{pasted}").unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let mut ran = Ran::of(child.wait_with_output().unwrap());
    ran.out = rest;
    ran
}

#[test]
fn the_owner_gives_the_permission_and_backs_up() {
    let emulator = Emulator::start();
    let (home, database) = home(&emulator);
    home.run(&["init"]).fails(1, "gdrive://Lifeboat", "lifeboat auth gdrive");
    let refused = authorize(&home, |_| "http://127.0.0.1:1/?state=other&code=4%2Fcode".to_owned());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let ran = authorize(&home, |back| back);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let summary: Value = serde_json::from_str(&ran.out).unwrap();
    let token_file = home.path(".config/lifeboat/gdrive.json");
    assert_eq!(summary["token_file"], token_file.to_str().unwrap());
    assert!(summary["expires"].is_string(), "{summary}");
    assert_eq!(token_file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    for secret in ["client-secret", "refresh-token-1", "access-token"] {
        assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{ran:?}");
    }

    home.ok(&["init"]);
    let first = home.json(&["backup"]);
    let link = first["link"].as_str().unwrap();
    assert!(link.starts_with("https://drive.google.com/drive/folders/"), "{first}");
    database.change(3);
    home.ok(&["backup"]);
    assert!(home.restored(&["app"]) == database.bytes());
    home.ok(&["check", "--read-data"]);
    // A week is left; two days before the end it is said.
    let given = home.run(&["doctor"]);
    assert!(given.out.contains("to use Google Drive is given until"), "{given:?}");
    let tokens = std::fs::read_to_string(&token_file).unwrap();
    let mut tokens: Value = serde_json::from_str(&tokens).unwrap();
    tokens["refresh_expires"] = json!(tomorrow());
    std::fs::write(&token_file, tokens.to_string()).unwrap();
    let ending = home.run(&["doctor"]);
    assert_eq!(ending.code, Some(0), "{ending:?}");
    assert!(ending.out.contains("to use Google Drive ends at"), "{ending:?}");
    assert!(ending.out.contains("lifeboat auth gdrive"), "{ending:?}");
}

/// In seconds of the epoch.
fn tomorrow() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    now.as_secs() + 86_400
}

#[test]
fn what_rclone_was_given_is_taken_over() {
    let emulator = Emulator::start();
    let (home, database) = home(&emulator);
    let token = json!({
        "access_token": "access-token-1", "token_type": "Bearer", "refresh_token": "refresh-token-1",
        "expiry": "2020-01-01T00:00:00Z",
    });
    let config = format!(
        "[mine]\ntype = drive\nclient_id = client-id\nclient_secret = client-secret\n\
         scope = drive.file\ntoken = {token}\n[shared]\ntype = drive\ntoken = {token}\n"
    );
    home.write(".config/rclone/rclone.conf", config);
    home.run(&["auth", "gdrive", "--import-rclone", "absent"]).fails(1, "absent", "");
    home.run(&["auth", "gdrive", "--import-rclone", "shared"]).fails(
        1,
        "make an OAuth client of your own",
        "",
    );
    let said = home.ok(&["auth", "gdrive", "--import-rclone", "mine"]);
    assert!(said.contains("now make a repository: lifeboat init -r"), "{said}");
    home.ok(&["init", "-r", "gdrive://Lifeboat"]);
    home.ok(&["backup"]);
    assert!(home.restored(&["app"]) == database.bytes());
}

/// Who withdraws the permission is told how to give it again.
#[test]
fn a_permission_that_was_withdrawn_is_told() {
    let emulator = Emulator::start();
    let (home, _database) = home(&emulator);
    assert_eq!(authorize(&home, |back| back).code, Some(0));
    home.ok(&["init"]);
    {
        let mut state = emulator.state();
        state.refresh_token = "another".to_owned();
        state.access_token = "another".to_owned();
    }
    home.run(&["backup"]).fails(1, "", "give the permission anew: lifeboat auth gdrive");
}
