//! What a store is asked for, and so what its owner is billed for.

use std::collections::BTreeMap;

use lifeboat_servers::proxy::Head;

use crate::common::{Database, Home};
use crate::places::{Bucket, write_config};

/// Requests by kind; `put` and `list` are those that cost the most.
fn kinds(requests: &[Head]) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for head in requests {
        let kind = match head.method.as_str() {
            "PUT" => "put",
            "POST" => "post",
            "DELETE" => "delete",
            "HEAD" => "head",
            _ if head.field("list-type").is_some() || head.field("uploads").is_some() => "list",
            _ => "get",
        };
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

#[test]
fn a_backup_of_one_database_asks_for_little() {
    let home = Home::new();
    let bucket = Bucket::new();
    let database = Database::create(&home.path("app.db"), "wal", 2000);
    write_config(&home, &[("s3", bucket.table())]);
    let config = std::fs::read_to_string(home.path("lifeboat.toml")).unwrap();
    let config = config.replace("app/data/app.db", "app.db");
    home.write("lifeboat.toml", config.replace("[files.notes]\npaths = ['app']\n", ""));
    let cost = |command: &str| {
        bucket.proxy.take_seen();
        home.ok(&[command]);
        kinds(&bucket.proxy.take_seen())
    };
    let expect = |get, head, list, put| {
        let all = [("get", get), ("head", head), ("list", list), ("put", put)];
        BTreeMap::from_iter(all.into_iter().filter(|(_, count)| *count > 0))
    };
    assert_eq!(cost("init"), expect(6, 2, 6, 4));
    assert_eq!(cost("backup"), expect(2, 1, 6, 4), "the first");
    assert_eq!(cost("backup"), expect(2, 0, 7, 2), "nothing has changed");
    (0..10).for_each(|row| database.change(100 + row * 7));
    assert_eq!(cost("backup"), expect(2, 1, 7, 3), "ten pages have changed");
}
