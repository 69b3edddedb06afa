//! What to do about a refusal, by the commands of `ledgerctl`.

use prompt_ledger_client::LedgerError;
use prompt_ledger_client::v1::ErrorReason as Reason;

/// A sentence with the command that helps; absent where the server's message says all.
pub(crate) fn advice(error: &LedgerError) -> Option<String> {
    let known = |key: &str, unknown| error.metadata.get(key).map_or(unknown, String::as_str);
    let prompt = known("prompt", "NAME");
    Some(match error.reason {
        Reason::PromptNotFound => {
            "`ledgerctl prompt list` shows those that there are, `ledgerctl prompt put` registers one. Is it in \
                                   another project? Each key opens one; a system key names it by --project"
                .into()
        }
        Reason::VersionNotFound => format!("`ledgerctl prompt versions {prompt}` shows those that there are"),
        Reason::LabelNotFound => format!(
            "`ledgerctl prompt get {prompt}` shows its labels, `ledgerctl prompt label {prompt} LABEL VERSION` sets one"
        ),
        Reason::NoActiveVersion => format!(
            "`ledgerctl prompt activate {prompt} VERSION` activates one, `ledgerctl prompt versions {prompt}` shows those that there are"
        ),
        Reason::ModeMismatch => format!(
            "A prompt in full mode is written by `ledgerctl prompt put` and `edit`, one in tracking mode by `ledgerctl register`; \
             `ledgerctl prompt migrate {prompt} --mode MODE` moves it to the other mode"
        ),
        Reason::PromptArchived => format!("`ledgerctl prompt unarchive {prompt}` takes it out of the archive"),
        Reason::VersionInUse => format!(
            "`ledgerctl prompt activate {prompt} VERSION` and `ledgerctl prompt label {prompt} LABEL VERSION` move what points at it"
        ),
        Reason::EtagMismatch => format!(
            "`ledgerctl prompt get {prompt}` shows it as it is now, with its etag, and `ledgerctl prompt changes {prompt}` who wrote it"
        ),
        Reason::PromptExists => {
            format!("`ledgerctl prompt get {prompt}` shows it; without --create-only this makes a version of it")
        }
        Reason::ModelNotFound => {
            "`ledgerctl models` lists those that there are, `ledgerctl models put PROVIDER/NAME` registers one".into()
        }
        Reason::ExecutionFinished => {
            format!("`ledgerctl exec get {}` shows what it came to", known("execution_id", "EXECUTION"))
        }
        Reason::InvalidField => {
            let variable = error.fields.iter().find_map(|(field, _)| field.strip_prefix("variables."))?;
            let variable = variable.split(['.', '[']).next().unwrap_or(variable);
            format!("What is no text is given by --var {variable}:=JSON, or in the file of --vars")
        }
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests state what a server answers")]
mod tests {
    use tonic::{Code, Status};

    use super::*;

    #[test]
    fn a_refusal_names_the_command_that_helps() {
        let mut error = LedgerError::from(Status::new(Code::NotFound, "no"));
        assert_eq!(advice(&error), None);
        error.reason = Reason::VersionNotFound;
        assert!(advice(&error).unwrap().contains("prompt versions NAME"));
        error.metadata.insert("prompt".into(), "greet".into());
        for (reason, command) in [
            (Reason::VersionNotFound, "prompt versions greet"),
            (Reason::LabelNotFound, "prompt get greet"),
            (Reason::NoActiveVersion, "prompt activate greet VERSION"),
            (Reason::ModeMismatch, "prompt migrate greet"),
            (Reason::PromptArchived, "prompt unarchive greet"),
            (Reason::EtagMismatch, "prompt changes greet"),
            (Reason::PromptExists, "prompt get greet"),
            (Reason::ModelNotFound, "ledgerctl models put PROVIDER/NAME"),
            (Reason::ExecutionFinished, "exec get EXECUTION"),
        ] {
            error.reason = reason;
            assert!(advice(&error).unwrap().contains(command), "{reason:?}");
        }
        error.metadata.insert("execution_id".into(), "0190".into());
        error.reason = Reason::ExecutionFinished;
        assert!(advice(&error).unwrap().contains("exec get 0190"));
    }

    #[test]
    fn a_variable_of_another_kind_is_told_how_it_is_given() {
        let mut error = LedgerError::from(Status::new(Code::InvalidArgument, "variables.history: is a text"));
        error.reason = Reason::InvalidField;
        error.fields = vec![("name".to_owned(), "is empty".to_owned())];
        assert_eq!(advice(&error), None);
        error.fields = vec![("variables.history[0].role".to_owned(), "is a number".to_owned())];
        assert!(advice(&error).unwrap().contains("--var history:=JSON"));
    }
}
