//! `lifeboat follow`

use lifeboat::{
    Error, FollowEnd, FollowEvent, FollowPoint, FollowReport, FollowRequest, Rewrite, follow,
};
use serde_json::{Value, json};

use super::Session;
use super::backups::local;
use crate::arguments::FollowArguments;
use crate::exit::Exit;
use crate::output::{self, size};
use crate::stop;

pub(super) fn run(session: &Session, arguments: &FollowArguments) -> Result<Exit, Error> {
    let stop = stop::on_signal()?;
    let opened = session.open_repository()?;
    let request = FollowRequest {
        source: arguments.source.clone(),
        host: arguments.host.clone(),
        target: arguments.target.clone(),
        interval: arguments.interval.get(),
        once: arguments.once,
        force: arguments.force,
    };
    let tell = |event: &FollowEvent| tell(session, &arguments.source, event);
    let report = follow(&opened, &request, &stop, &session.progress, &tell)?;
    if session.global.json {
        output::json(&document_of_report(&report))?;
    }
    Ok(match report.end {
        FollowEnd::CaughtUp => Exit::Ok,
        FollowEnd::Behind(_) => Exit::Partial,
        // Without --once there is no other end.
        FollowEnd::Stopped if !arguments.once => Exit::Ok,
        FollowEnd::Stopped => Exit::Interrupted,
    })
}

/// Shows what happens. A reader of the output that went away is no reason to stop.
fn tell(session: &Session, source: &str, event: &FollowEvent) {
    if session.global.json {
        let _ = output::json(&document(event));
        return;
    }
    let text = describe(source, event);
    match event {
        FollowEvent::Applied { .. } if !session.global.verbose => {}
        FollowEvent::Behind { .. } | FollowEvent::Failing { .. } => output::note(&text),
        _ => {
            let _ = session.say(&text);
        }
    }
}

fn describe(source: &str, event: &FollowEvent) -> String {
    match event {
        FollowEvent::Began { target, from: None } => {
            format!("following {source} to {}", target.display())
        }
        FollowEvent::Began { target, from: Some(point) } => {
            format!("following {source} to {}, which is at {}", target.display(), at(point))
        }
        FollowEvent::Applied { point, pages } => {
            format!("applied {} in {}", at(point), size::count(u64::from(*pages), "page"))
        }
        FollowEvent::Rewritten { point, why, pages, former } => {
            let what = match pages {
                Some(pages) => format!("rewrote {}", size::count(u64::from(*pages), "page")),
                None => "restored".to_owned(),
            };
            let former = former
                .as_ref()
                .map(|path| format!("; what was there is kept as {}", path.display()));
            let former = former.unwrap_or_default();
            format!("{what} ({}), at {}{former}", reason(*why), at(point))
        }
        FollowEvent::CaughtUp { point } => format!("caught up at {}", at(point)),
        FollowEvent::Behind { reason } => {
            format!(
                "warning: no progress: {reason}; `lifeboat check --read-data` says what is damaged"
            )
        }
        FollowEvent::Failing { error } => format!("warning: {error}; trying again"),
    }
}

fn at(point: &FollowPoint) -> String {
    format!("transaction {} of {}", point.txid, local(point.time))
}

fn reason(why: Rewrite) -> &'static str {
    match why {
        Rewrite::First => "there was none",
        Rewrite::Lineage => "a newer lineage has begun",
        Rewrite::Gap => "the files between are gone or damaged",
        Rewrite::Diverged => "somebody else wrote to it",
    }
}

fn document(event: &FollowEvent) -> Value {
    match event {
        FollowEvent::Began { target, from } => {
            with_point(json!({ "message_type": "began", "target": target }), from.as_ref())
        }
        FollowEvent::Applied { point, pages } => {
            with_point(json!({ "message_type": "applied", "pages": pages }), Some(point))
        }
        FollowEvent::Rewritten { point, why, pages, former } => {
            let why = match why {
                Rewrite::First => "first",
                Rewrite::Lineage => "lineage",
                Rewrite::Gap => "gap",
                Rewrite::Diverged => "diverged",
            };
            let document = json!({
                "message_type": "rewritten", "reason": why, "pages": pages, "former": former,
            });
            with_point(document, Some(point))
        }
        FollowEvent::CaughtUp { point } => {
            with_point(json!({ "message_type": "caught_up" }), Some(point))
        }
        FollowEvent::Behind { reason } => json!({ "message_type": "behind", "message": reason }),
        FollowEvent::Failing { error } => json!({ "message_type": "failing", "message": error }),
    }
}

fn document_of_report(report: &FollowReport) -> Value {
    let caught_up = report.end == FollowEnd::CaughtUp;
    let document = json!({ "message_type": "summary", "caught_up": caught_up });
    with_point(document, report.point.as_ref())
}

/// Members of what the copy holds, null where that is nothing.
fn with_point(mut document: Value, point: Option<&FollowPoint>) -> Value {
    document["lineage"] = json!(point.map(|point| point.lineage));
    document["txid"] = json!(point.map(|point| point.txid.to_string()));
    document["time"] = json!(point.map(|point| point.time));
    document
}
