//! Where the files stand in git.

use std::path::{Path, PathBuf};
use std::process::Command;

use prompt_ledger_client::v1;

use super::no_git_source::NoGitSource;

/// The contract's bound of a repository, a commit and a path, in bytes.
const MAX_BYTES: usize = 255;

/// What git says of the place of some files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GitSource {
    /// The working tree's folder, without links.
    root: PathBuf,
    pub(super) source: v1::CodeSource,
    /// How many of the files differ from the commit, ones that it does not know included.
    pub(super) changed: usize,
}

impl GitSource {
    /// Asks the `git` of PATH about the repository that `paths` stand in. The URL is that of the remote `origin`, without credentials.
    ///
    /// # Errors
    ///
    /// Why there is none: no repository, no commit, or no git.
    pub(super) fn of(paths: &[PathBuf]) -> Result<Self, NoGitSource> {
        let first = paths.first().map(PathBuf::as_path).unwrap_or(Path::new("."));
        let folder = if first.is_dir() { first } else { first.parent().unwrap_or(first) };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let root = PathBuf::from(git(folder, &["rev-parse", "--show-toplevel"])?);
        let commit = git(folder, &["rev-parse", "--quiet", "--verify", "HEAD"]);
        let commit = commit.map_err(|error| match error {
            NoGitSource::Unknown { .. } => NoGitSource::NoCommit(root.clone()),
            error => error,
        })?;
        // As it is written: `git remote get-url` adds what the user's settings say, tokens too.
        let url = git(folder, &["config", "--get", "remote.origin.url"]).unwrap_or_default();
        let repository = Some(without_credentials(&url)).filter(|url| url.len() <= MAX_BYTES).unwrap_or_default();
        let absolute: Vec<String> =
            paths.iter().filter_map(|path| Some(std::path::absolute(path).ok()?.to_str()?.to_owned())).collect();
        let status = ["-c", "core.fsmonitor=false", "status", "--porcelain", "--untracked-files=all", "--"];
        let status: Vec<&str> = status.into_iter().chain(absolute.iter().map(String::as_str)).collect();
        let changed = git(folder, &status).map_err(|error| match error {
            NoGitSource::Unknown { said, .. } if said.contains("is outside repository") => {
                NoGitSource::SeveralRepositories(root.clone())
            }
            error => error,
        })?;
        let changed = changed.lines().count();
        Ok(Self { root, source: v1::CodeSource { repository, commit }, changed })
    }

    /// The path within the repository. Absent: it is not below it.
    pub(super) fn path_of(&self, path: &Path) -> Option<String> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let path = folder.canonicalize().ok()?.join(path.file_name()?);
        Some(path.strip_prefix(&self.root).ok()?.to_str()?.replace('\\', "/"))
    }
}

/// The path as the contract takes it: empty where it is too long.
pub(super) fn fitting(path: &str) -> &str {
    if path.len() <= MAX_BYTES { path } else { "" }
}

/// Runs git in a folder, where a hook's own repository does not lead it astray; its output without the last line end.
fn git(folder: &Path, arguments: &[&str]) -> Result<String, NoGitSource> {
    let mut command = Command::new("git");
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"] {
        command.env_remove(name);
    }
    let output = command.arg("-C").arg(folder).args(arguments).env("LC_ALL", "C").output();
    let output = output.map_err(|error| NoGitSource::NoGit(error.to_string()))?;
    let told = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
    let told = told.trim_end_matches(['\r', '\n']).to_owned();
    if output.status.success() {
        Ok(told)
    } else {
        Err(NoGitSource::of(folder, told.lines().next().unwrap_or("no word")))
    }
}

/// A remote's URL without user, password and query. Empty where a password cannot be told from the rest.
pub(super) fn without_credentials(url: &str) -> String {
    // The rest is a command, which may hold anything.
    if url.starts_with("ext::") {
        return String::new();
    }
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        // `git@host:path`, or a path.
        None => (String::new(), url),
    };
    let host_end = if scheme.is_empty() { None } else { rest.find(['/', '?', '#']) };
    let (host, path) = rest.split_at(host_end.unwrap_or(rest.len()));
    let user_end = host.rfind('@').map_or(0, |at| at + 1);
    let (user, host) = host.split_at(user_end);
    let port = host.rsplit(']').next().and_then(|host| host.split_once(':')).map(|(_, port)| port);
    let is_password = |port: &str| path.contains('@') || port.contains(|c: char| !c.is_ascii_digit());
    // A password with one of these is cut, and what is left of it looks like a port.
    if user.is_empty() && !scheme.is_empty() && port.is_some_and(is_password) {
        return String::new();
    }
    // The user of all who use ssh there.
    let user = if user == "git@" { user } else { "" };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}{user}{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_without_credentials() {
        for (url, told) in [
            ("https://github.com/acme/shop.git", "https://github.com/acme/shop.git"),
            ("https://ada:secret@github.com/acme/shop", "https://github.com/acme/shop"),
            ("https://secret@github.com/acme/shop@2", "https://github.com/acme/shop@2"),
            ("https://a:b@c@github.com/acme", "https://github.com/acme"),
            ("https://github.com/acme?private_token=secret", "https://github.com/acme"),
            ("ssh://git@github.com:22/acme", "ssh://git@github.com:22/acme"),
            ("git@github.com:acme/shop.git", "git@github.com:acme/shop.git"),
            ("x:secret@github.com:acme/shop.git", "github.com:acme/shop.git"),
            ("/srv/git/shop.git", "/srv/git/shop.git"),
            ("https://[::1]:8443/acme", "https://[::1]:8443/acme"),
            ("https://ada:se/cret@github.com/acme", ""),
            ("https://ada:12/34@github.com/acme", ""),
            ("https://ada:se?cret@github.com/acme", ""),
            ("https://ada:se#cret@github.com/acme", ""),
            ("ada:se?cret@github.com:acme", "github.com:acme"),
            ("ext::ssh -p secret %S", ""),
            ("", ""),
        ] {
            assert_eq!(without_credentials(url), told, "{url}");
        }
    }

    #[test]
    fn what_stands_in_no_repository_has_no_source() {
        let folder = tempfile::TempDir::new().unwrap();
        let none = GitSource::of(&[folder.path().to_owned()]).unwrap_err();
        assert_eq!(none, NoGitSource::NoRepository(folder.path().to_owned()));
        assert!(GitSource::of(&["/nowhere/x".into()]).is_err());
    }
}
