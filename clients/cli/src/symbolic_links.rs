//! Files that are replaced whole: a symbolic link in their place stays.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where a path leads to by symbolic links, also where nothing is there yet.
pub(crate) fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many symbolic links lead to each other"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_their_end_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("b", at("a")).unwrap();
        symlink(at("c"), at("b")).unwrap();
        assert_eq!(followed(&at("a")).unwrap(), at("c"));
        assert_eq!(followed(&at("c")).unwrap(), at("c"));
        symlink("loop", at("loop")).unwrap();
        assert!(followed(&at("loop")).unwrap_err().to_string().contains("symbolic links"));
    }
}
