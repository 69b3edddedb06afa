//! Who writes, as the ledger keeps it with a change.

use clap::Args;

/// The most bytes of a name that the contract takes.
const MAX_BYTES: usize = 255;

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct CreatedByArgs {
    /// Who writes, as versions and the change log show it; absent: the name in USER
    #[arg(long, value_name = "NAME")]
    created_by: Option<String>,
}

impl CreatedByArgs {
    /// Empty: nobody is named.
    pub(crate) fn name(self) -> String {
        name(self.created_by, std::env::var("USER").ok())
    }
}

/// A name of the environment that is too long names nobody.
fn name(told: Option<String>, user: Option<String>) -> String {
    told.or(user.filter(|user| user.len() <= MAX_BYTES)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_user_unless_another_is_told() {
        assert_eq!(name(Some("ci".into()), Some("ada".into())), "ci");
        assert_eq!(name(Some(String::new()), Some("ada".into())), "");
        assert_eq!(name(None, Some("ada".into())), "ada");
        assert_eq!(name(None, Some("a".repeat(256))), "");
        assert_eq!(name(None, None), "");
    }
}
