//! `lifeboat auth`

use std::io::{BufRead, stdin};
use std::process::{Command, Stdio};
use std::time::Duration;

use lifeboat::{
    DriveAuthorization, DriveClient, DriveGrant, Error, Time, begin_drive_authorization,
    import_drive_authorization, keep_drive_authorization,
};
use serde_json::json;

use super::Session;
use super::backups::local;
use crate::arguments::{AuthCommand, GdriveArguments};
use crate::exit::Exit;
use crate::output;

/// How long the owner may take.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

pub(super) fn run(session: &Session, command: &AuthCommand) -> Result<Exit, Error> {
    let AuthCommand::Gdrive(arguments) = command;
    let context = &session.context;
    if let Some(remote) = &arguments.import_rclone {
        let config = arguments.rclone_config.as_deref();
        let grant = import_drive_authorization(context, remote, config)?;
        return show(session, &grant, None);
    }
    let authorization = begin_drive_authorization(context, &client(session, arguments)?)?;
    tell(session, &authorization.url())?;
    let tokens = if arguments.headless {
        output::note("paste the address that the browser cannot open then, or the code in it:");
        paste(&authorization)?
    } else {
        open_browser(&authorization.url());
        authorization.wait(PATIENCE)?
    };
    let grant = keep_drive_authorization(context, &tokens)?;
    show(session, &grant, tokens.expires().map(Time::from_system))
}

/// The client that is named, else that of the environment.
fn client(session: &Session, arguments: &GdriveArguments) -> Result<DriveClient, Error> {
    let environment = session.context.environment();
    if let Some(id) = &arguments.client_id {
        let secret =
            environment.text("LIFEBOAT_GDRIVE_CLIENT_SECRET").ok_or_else(|| Error::Usage {
                problem: "the client's secret is missing".to_owned(),
                hint: Some("put it into LIFEBOAT_GDRIVE_CLIENT_SECRET".to_owned()),
            })?;
        return Ok(DriveClient::Given { id: id.clone(), secret: secret.to_owned().into() });
    }
    let file =
        arguments.client.clone().or_else(|| environment.path("GOOGLE_APPLICATION_CREDENTIALS"));
    file.map(DriveClient::File).ok_or_else(|| Error::Usage {
        problem: "no OAuth client is given".to_owned(),
        hint: Some(
            "make one of your own in Google's console (APIs & Services, Credentials, OAuth client ID, \
             Desktop app), download its JSON, and give it with --client FILE"
                .to_owned(),
        ),
    })
}

fn tell(session: &Session, url: &str) -> Result<(), Error> {
    if session.global.json {
        return output::json(&json!({ "message_type": "open", "url": url }));
    }
    output::note("open this address in a browser and allow what it asks:");
    output::line(url)
}

/// Where there is a desktop. Whoever has none opens the address by hand.
fn open_browser(url: &str) {
    let mut browser = Command::new("xdg-open");
    let browser = browser.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    drop(browser.spawn());
}

fn paste(authorization: &DriveAuthorization) -> Result<lifeboat::DriveTokens, Error> {
    let mut pasted = String::new();
    stdin().lock().read_line(&mut pasted).map_err(|source| Error::File {
        operation: "read",
        path: "standard input".into(),
        source,
    })?;
    Ok(authorization.finish(&pasted)?)
}

fn show(session: &Session, grant: &DriveGrant, expires: Option<Time>) -> Result<Exit, Error> {
    if session.global.json {
        output::json(&json!({
            "message_type": "summary",
            "token_file": grant.token_file,
            "expires": expires,
            "repository": grant.folder,
            "shared_drive": grant.shared_drive,
        }))?;
        return Ok(Exit::Ok);
    }
    session.say(&format!("the permission is kept in {}", grant.token_file.display()))?;
    if let Some(expires) = expires {
        output::note(&format!(
            "it ends at {}, because the client is in testing: publish it in Google's console (OAuth consent \
             screen), then it does not",
            local(expires)
        ));
    }
    if let Some(drive) = &grant.shared_drive {
        output::note(&format!(
            "it is for a shared drive: put shared-drive = \"{drive}\" beside the repository's url in lifeboat.toml"
        ));
    }
    let folder = grant.folder.as_deref().unwrap_or("\"gdrive://Folder Name\"");
    session.say(&format!("now make a repository: lifeboat init -r {folder}"))?;
    Ok(Exit::Ok)
}
