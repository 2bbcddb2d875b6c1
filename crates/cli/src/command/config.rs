//! `lifeboat config show`

use lifeboat::Error;
use serde_json::json;

use super::Session;
use crate::exit::Exit;
use crate::output;

pub(super) fn show(session: &Session) -> Result<Exit, Error> {
    let context = &session.context;
    let file = context.config_file();
    let repository = context.repository_location();
    if session.global.json {
        output::json(&json!({
            "config": file.path,
            "host": context.host_name(),
            "state": context.state_path(),
            "repository": repository.ok(),
            "points": context.config().points.ladder.clone().unwrap_or_default(),
            "default_password_file": context.default_password_file(),
            "settings": file.config,
        }))?;
        return Ok(Exit::Ok);
    }
    let path = file.path.as_ref().map_or_else(
        || "none; everything is at its default".to_owned(),
        |path| path.display().to_string(),
    );
    let repository = repository.unwrap_or_else(|error| output::chain(&error));
    output::line(&format!("# configuration: {path}"))?;
    output::line(&format!("# host:          {}", context.host_name()))?;
    output::line(&format!("# repository:    {repository}"))?;
    output::line(&format!("# password file: {}", context.default_password_file().display()))?;
    output::line(&format!("# state:         {}", context.state_path().display()))?;
    let ladder = file.config.points.ladder.clone().unwrap_or_default();
    let rungs: Vec<String> = ladder.rungs().iter().map(ToString::to_string).collect();
    output::line(&format!("# points:        {}; then what backups hold", rungs.join(", ")))?;
    let text = toml::to_string(&file.config).map_err(|error| Error::Config {
        path: file.path.clone().unwrap_or_default(),
        line: None,
        problem: error.to_string(),
    })?;
    if !text.is_empty() {
        output::line(&format!("\n{}", text.trim_end()))?;
    }
    Ok(Exit::Ok)
}
