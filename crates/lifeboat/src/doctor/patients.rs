//! Which databases are examined: those that a backup with the same arguments would take, and those
//! that it could not.

use std::path::PathBuf;

use super::database::Patient;
use super::finding::{Area, Diagnosis, Examination};
use crate::names::name_of;
use crate::{Context, Progress, Request, discover, path_of_url};

/// The databases of a request; also findings where there are none to be found.
pub(super) fn find(
    context: &Context,
    request: &Request,
    progress: &dyn Progress,
) -> (Vec<Patient>, Vec<Examination>) {
    let configured = &context.config().databases;
    let (mut patients, mut examinations) = (Vec::new(), Vec::new());
    if request.sources.is_empty() {
        for (name, database) in configured {
            patients.push(at(context, &database.path, Some(name)));
        }
        if patients.is_empty() && context.config().source_names().next().is_none() {
            let mut examination = Examination::new(Area::Database, "");
            examination.add([Diagnosis::warning(
                "sources",
                "no database is named or configured",
                "lifeboat doctor PATH, or put [database.NAME] into lifeboat.toml",
            )]);
            examinations.push(examination);
        }
    }
    for source in &request.sources {
        match configured.get(source) {
            Some(database) => patients.push(at(context, &database.path, Some(source))),
            // Examined by itself.
            None if context.config().files.contains_key(source) => {}
            None if absolute(context, source).is_dir() => {
                match in_directory(context, source, progress) {
                    Ok(found) => patients.extend(found),
                    Err(error) => {
                        let mut examination = Examination::new(Area::Database, source);
                        examination.add([Diagnosis::failed("sources", error)]);
                        examinations.push(examination);
                    }
                }
            }
            None => patients.push(at(context, source, None)),
        }
    }
    (patients, examinations)
}

fn absolute(context: &Context, text: &str) -> PathBuf {
    context.environment().working_directory().join(path_of_url(text))
}

fn at(context: &Context, text: &str, name: Option<&str>) -> Patient {
    let path = absolute(context, text);
    let known = || {
        let real = path.canonicalize().ok()?;
        name_of(context.state(), &real, &[]).ok()
    };
    let name = name.map(str::to_owned).or_else(known).unwrap_or_else(|| text.to_owned());
    Patient { name, path, vitals: None }
}

fn in_directory(
    context: &Context,
    source: &str,
    progress: &dyn Progress,
) -> crate::Result<Vec<Patient>> {
    let request = Request::databases(vec![source.to_owned()]);
    let found = discover::find(context, &request, progress)?;
    let patient = |name, path| Patient { name, path, vitals: None };
    let readable = found.targets.into_iter().map(|target| patient(target.name, target.path));
    // What could not be looked at on the way says why when it is examined.
    let others = found.failures.into_iter().map(|failure| {
        let path = PathBuf::from(&failure.source);
        patient(failure.source, path)
    });
    Ok(readable.chain(others).collect())
}
