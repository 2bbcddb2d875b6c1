//! `lifeboat doctor`

use lifeboat::{
    Diagnosis, DoctorRequest, Environment, Error, Examination, Request, Severity, doctor,
};
use serde_json::{Value, json};

use crate::arguments::{DoctorArguments, Global};
use crate::exit::{self, Exit};
use crate::hint;
use crate::output::{self, size, table};
use crate::progress::Reporter;

/// Lines fit into a terminal of 80 columns; paths may be longer.
const WIDTH: usize = 80;
/// Two blanks, the severity, two blanks, what was examined, two blanks.
const INDENT: usize = 27;

pub(super) fn run(global: &Global, arguments: &DoctorArguments) -> Result<Exit, Error> {
    let progress = Reporter::new(global.json, global.quiet, global.verbose);
    let request = DoctorRequest {
        sources: Request::databases(arguments.databases.clone()),
        integrity: arguments.integrity,
    };
    let overrides = super::overrides(global, None);
    let examinations = doctor(Environment::of_process(), overrides, &request, &progress)?;
    if global.json {
        output::json(&document(&examinations))?;
    } else {
        show(&examinations, global.quiet)?;
    }
    Ok(exit_of(&examinations))
}

fn exit_of(examinations: &[Examination]) -> Exit {
    let mut exit = Exit::Ok;
    for diagnosis in all(examinations).filter(|found| found.severity == Severity::Problem) {
        let corrupt = |error: &Error| exit::of_error(error) == Exit::CorruptSource;
        if diagnosis.error.as_deref().is_some_and(corrupt) {
            return Exit::CorruptSource;
        }
        exit = Exit::Failed;
    }
    exit
}

fn all(examinations: &[Examination]) -> impl Iterator<Item = &Diagnosis> {
    examinations.iter().flat_map(|examination| &examination.findings)
}

/// What to do: as the finding says, else as for the error that a backup would end with.
fn remedy(diagnosis: &Diagnosis) -> Option<String> {
    diagnosis.remedy.clone().or_else(|| hint::of_error(diagnosis.error.as_deref()?))
}

/// `--quiet` leaves out what is as it should be.
fn show(examinations: &[Examination], quiet: bool) -> Result<(), Error> {
    for examination in examinations {
        let is_shown = |found: &&Diagnosis| !quiet || found.severity > Severity::Ok;
        let shown: Vec<_> = examination.findings.iter().filter(is_shown).collect();
        if shown.is_empty() {
            continue;
        }
        output::line(format!("{}  {}", examination.area, examination.subject).trim_end())?;
        for diagnosis in shown {
            lines(diagnosis).iter().try_for_each(|line| output::line(line))?;
        }
    }
    let count = |severity| all(examinations).filter(|found| found.severity == severity).count();
    let (problems, warnings) = (count(Severity::Problem), count(Severity::Warning));
    if quiet && problems + warnings == 0 {
        return Ok(());
    }
    output::line(&format!(
        "{}, {}",
        size::count(problems as u64, "problem"),
        size::count(warnings as u64, "warning")
    ))
}

fn lines(diagnosis: &Diagnosis) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, text) in table::wrap(&diagnosis.found, WIDTH - INDENT).iter().enumerate() {
        lines.push(match at {
            0 => format!("  {:7}  {:14}  {text}", diagnosis.severity, diagnosis.examined),
            _ => format!("{:INDENT$}{text}", ""),
        });
    }
    for (at, text) in
        table::wrap(&remedy(diagnosis).unwrap_or_default(), WIDTH - INDENT - 2).iter().enumerate()
    {
        let arrow = if at == 0 { "→" } else { " " };
        lines.push(format!("{:INDENT$}{arrow} {text}", ""));
    }
    lines
}

fn document(examinations: &[Examination]) -> Value {
    let findings = examinations.iter().flat_map(|examination| {
        examination.findings.iter().map(|found| {
            json!({
                "severity": found.severity.to_string(),
                "area": examination.area.to_string(),
                "subject": examination.subject,
                "examined": found.examined,
                "found": found.found,
                "remedy": remedy(found),
            })
        })
    });
    Value::Array(findings.collect())
}
