//! Output without what differs from run to run.

use super::Home;

/// Replaces what differs from run to run: ids, times, sizes and the paths of this machine. Runs of
/// spaces become one, except at the beginning.
pub(crate) fn scrub(text: &str, home: &Home) -> String {
    let host = home.json(&["config", "show"])["host"].as_str().unwrap().to_owned();
    let text = text.replace(home.directory().to_str().unwrap(), "~").replace(&host, "box");
    text.lines().map(|line| scrub_line(line) + "\n").collect()
}

fn scrub_line(line: &str) -> String {
    const UNITS: [&str; 8] = ["B", "KiB", "MiB", "GiB", "TiB", "ms", "s", "min"];
    let indent = line.len() - line.trim_start().len();
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let core = word.trim_matches(|c: char| "(),;".contains(c));
        let number = |text: &str| text.parse::<f64>().is_ok();
        let unit = core.strip_suffix("/s").unwrap_or(core);
        if UNITS.contains(&unit) && words.last().is_some_and(|last| number(last.trim_matches('(')))
        {
            let last = words.last_mut().unwrap();
            let digits = last.trim_matches('(').to_owned();
            *last = last.replace(&digits, "N");
            words.push(word.replace(core, if core == unit { "units" } else { "units/s" }));
            continue;
        }
        words.push(word.replace(core, &scrub_word(core)));
    }
    " ".repeat(indent) + &words.join(" ")
}

fn scrub_word(word: &str) -> String {
    let shape: String = word.chars().map(|c| if c.is_ascii_hexdigit() { '0' } else { c }).collect();
    let has_digit = word.chars().any(|c| c.is_ascii_digit());
    match shape.as_str() {
        "0000-00-00" => "DATE".to_owned(),
        "00:00:00" => "TIME".to_owned(),
        "00000000" | "0000000000000000" if !word.starts_with("0000000000") && has_digit => {
            "ID".to_owned()
        }
        _ => match word.split_once(".before-restore-") {
            Some((path, _)) => format!("{path}.before-restore-TIME"),
            None => word.to_owned(),
        },
    }
}
