//! What a user does where git knows no source.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why git knows no repository and commit of some files. Its text says that, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoGitSource {
    /// Nobody wants to know.
    NotAsked,
    NoGit(String),
    NoRepository(PathBuf),
    /// A bare repository, or the folder `.git` of one.
    NoWorkTree(PathBuf),
    /// git reads no repository of another user, whose settings could run commands.
    AnotherUsers(String),
    NoCommit(PathBuf),
    SeveralRepositories(PathBuf),
    Unknown {
        folder: PathBuf,
        said: String,
    },
}

impl fmt::Display for NoGitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("it is left out"),
            Self::NoGit(error) => write!(f, "git cannot be run ({error}): install it, and have it on the PATH"),
            Self::NoRepository(folder) => write!(
                f,
                "{} is in no git repository: register from a clone of the one that has the prompts",
                folder.display()
            ),
            Self::NoWorkTree(folder) => write!(
                f,
                "{} is inside a git repository, and in no working tree of it: register from a clone",
                folder.display()
            ),
            Self::AnotherUsers(root) => write!(
                f,
                "the git repository {root} belongs to another user, so that git does not read it: run `git config --global --add \
                 safe.directory {root}` where you trust it"
            ),
            Self::NoCommit(root) => {
                write!(f, "the git repository {} has no commit: commit the prompts first", root.display())
            }
            Self::SeveralRepositories(root) => write!(
                f,
                "not all that is registered is in the git repository {}: register each repository by a command of its own",
                root.display()
            ),
            Self::Unknown { folder, said } => {
                let folder = folder.display();
                write!(f, "git cannot say where {folder} stands ({said}): `git -C {folder} status` tells more")
            }
        }
    }
}

impl NoGitSource {
    /// What git meant. `said`: the first line of its standard error, in English; `folder`: where it was asked.
    pub(super) fn of(folder: &Path, said: &str) -> Self {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        if said.contains("not a git repository") {
            return Self::NoRepository(folder);
        }
        if said.contains("must be run in a work tree") {
            return Self::NoWorkTree(folder);
        }
        if said.contains("dubious ownership") {
            let quoted = said.split_once('\'').and_then(|(_, rest)| rest.rsplit_once('\''));
            return Self::AnotherUsers(
                quoted.map_or_else(|| folder.display().to_string(), |(path, _)| path.to_owned()),
            );
        }
        Self::Unknown { folder, said: said.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_otherwise_is_told_with_where_to_look() {
        let told = NoGitSource::of(Path::new("/srv/prompts"), "fatal: index file corrupt").to_string();
        assert_eq!(
            told,
            "git cannot say where /srv/prompts stands (fatal: index file corrupt): `git -C /srv/prompts status` tells more"
        );
    }

    #[test]
    fn a_repository_of_another_user_is_the_one_that_git_names() {
        let said = "fatal: detected dubious ownership in repository at '/srv/ada's'";
        assert_eq!(NoGitSource::of(Path::new("/srv/ada's/x"), said), NoGitSource::AnotherUsers("/srv/ada's".into()));
        let said = "fatal: detected dubious ownership";
        assert_eq!(NoGitSource::of(Path::new("/srv/x"), said), NoGitSource::AnotherUsers("/srv/x".into()));
    }
}
