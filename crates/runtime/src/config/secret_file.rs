//! Reads a secret from a file, as container platforms and systemd hand them over.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The largest file that is read, in bytes: a URL or a list of headers is far below.
const MOST_BYTES: u64 = 64 * 1024;

/// The only line of a file, without its end. The error continues a sentence that began with the path, and shows nothing of
/// the content.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is no regular file".into());
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    if read.map_err(unreadable)? as u64 > MOST_BYTES {
        return Err(format!("has more than {MOST_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "holds bytes that are not UTF-8")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line {
        "" => Err("is empty".into()),
        line if line.contains(['\n', '\r', '\0']) => Err("holds more than one line".into()),
        line => Ok(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        read(&path)
    }

    #[test]
    fn the_end_of_the_line_is_not_part_of_a_secret_and_blanks_are() {
        for content in ["hunter2", "hunter2\n", "hunter2\r\n"] {
            assert_eq!(of(content.as_bytes()).unwrap(), "hunter2", "{content:?}");
        }
        assert_eq!(of(b" hunter2 \n").unwrap(), " hunter2 ");
        let most = usize::try_from(MOST_BYTES).unwrap();
        assert_eq!(of(&vec![b'x'; most]).unwrap().len(), most);
    }

    #[test]
    fn what_is_no_single_line_of_text_is_refused_without_its_content() {
        let most = usize::try_from(MOST_BYTES).unwrap();
        for (content, why) in [
            (&b""[..], "empty"),
            (b"\n", "empty"),
            (b"\r\n", "empty"),
            (b"hunter2\n\n", "more than one line"),
            (b"hunter2\nhunter3", "more than one line"),
            (b"hunter2\0", "more than one line"),
            (b"hunter2\xff", "UTF-8"),
            (&vec![b'x'; most + 1], "more than 65536 bytes"),
        ] {
            let said = of(content).unwrap_err();
            assert!(said.contains(why) && !said.contains("hunter"), "{said}");
        }
    }

    #[test]
    fn a_folder_a_device_and_a_path_that_is_not_there_are_refused() {
        for path in ["/", "/dev/zero"] {
            assert_eq!(read(Path::new(path)).unwrap_err(), "is no regular file");
        }
        assert!(read(Path::new("/nowhere/secret")).unwrap_err().starts_with("cannot be read: "));
    }
}
