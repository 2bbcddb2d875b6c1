//! Asking a replication to let go of databases.

use std::time::Duration;

use super::control::{NOT_HERE, Question, ask};
use crate::{Context, Error, Request, Result, Silent, discover};

/// How long a replication may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has the replications of this state directory let go of databases for some time; their names.
///
/// What is committed meanwhile is captured afterwards.
pub fn yield_databases(
    context: &Context,
    request: &Request,
    time: Duration,
) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for target in discover(context, request, &Silent)? {
        let question = Question::Yield { database: target.name.clone(), seconds: time.as_secs() };
        let answers = ask(context.state_path(), &question, PATIENCE);
        let answer = answers.into_iter().find(|answer| answer["error"] != NOT_HERE);
        let problem = match &answer {
            None => Some("it is not replicated"),
            Some(answer) => answer["error"].as_str(),
        };
        if let Some(problem) = problem {
            let (name, problem) = (target.name, problem.to_owned());
            return Err(Error::Yield { name, problem });
        }
        names.push(target.name);
    }
    Ok(names)
}
