//! The cost of a durable write on this disk.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::load::Times;

/// Page size of SQLite's write-ahead log, in bytes.
const PAGE: usize = 4096;

/// `times` appends of a page, each followed by fdatasync, into a file of this folder, with a pause before each.
pub(super) fn fdatasync(folder: &Path, times: usize, pause: Duration) -> std::io::Result<Times> {
    let path = folder.join("fdatasync");
    let mut file = File::create(&path)?;
    // As in a reused log, the file's size does not change.
    file.write_all(&vec![0; PAGE * times])?;
    file.sync_all()?;
    std::io::Seek::rewind(&mut file)?;
    let mut taken = Times::new()?;
    for _ in 0..times {
        std::thread::sleep(pause);
        let began = Instant::now();
        file.write_all(&[1; PAGE])?;
        file.sync_data()?;
        taken.record(began.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(taken)
}
