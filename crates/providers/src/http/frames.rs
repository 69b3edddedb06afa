//! Splits the body of an answer into documents. Its form is told by its bytes, not by what was asked for or what a
//! header says: server-sent events as the HTML standard defines them, JSON values one after the other (a whole answer, a
//! line each, or a list), or one behind the other, such as a whole answer with `data: [DONE]` behind it.

use std::mem::take;

use bytes::Bytes;
use memchr::{memchr, memchr2};
use serde::de::IgnoredAny;

use super::budget::SMALL_BYTES;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One document of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BodyFrame {
    /// JSON where all is well. Of an event its data, which may be blank.
    pub(super) data: Bytes,
    pub(super) kind: FrameKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// A JSON object that is no event's data.
    Bare,
    Event,
    /// An event that is marked as an error, by its name or its field.
    ErrorEvent,
}

/// Decodes documents from bytes, however those are split. It buffers no more than the unfinished one.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The unfinished document: a JSON object, or the value of each `data` line with a newline behind it; then the
    /// unfinished line.
    pub(super) buffer: Vec<u8>,
    /// Where the unfinished line begins.
    line_at: usize,
    /// The last line ended with a CR: an LF that follows belongs to it.
    after_cr: bool,
    mark: Mark,
    /// Set within a JSON object.
    object: Option<Nesting>,
    /// The unfinished line has come to its end.
    has_line: bool,
    /// The unfinished event is marked as an error.
    is_error: bool,
    /// Something came that belongs to neither form.
    pub(super) saw_noise: bool,
}

/// The byte order mark that the body may begin with.
#[derive(Debug, PartialEq, Eq)]
enum Mark {
    /// So many bytes of it have come, and nothing else.
    Matched(usize),
    /// The body has begun.
    Over,
}

impl Default for Mark {
    fn default() -> Self {
        Self::Matched(0)
    }
}

/// How deep a position of a JSON object is.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    after_backslash: bool,
}

impl Nesting {
    /// The length of what is left of the object, where its end has come.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.in_string {
                if take(&mut self.after_backslash) {
                    at += 1;
                    continue;
                }
                let stop = memchr2(b'"', b'\\', &bytes[at..])?;
                at += stop;
                self.after_backslash = bytes[at] == b'\\';
                self.in_string = self.after_backslash;
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
                if self.depth == 0 {
                    return Some(at + 1);
                }
            }
            at += 1;
        }
        None
    }
}

impl Decoder {
    /// Whether the unfinished document is a JSON object.
    pub(super) fn is_in_object(&self) -> bool {
        self.object.is_some()
    }

    /// Consumes bytes up to the end of a document, or all of them. Returns the document.
    pub(super) fn feed(&mut self, bytes: &mut Bytes) -> Option<BodyFrame> {
        self.skip_mark(bytes);
        if take(&mut self.has_line)
            && let Some(event) = self.end_line()
        {
            return Some(event);
        }
        while !bytes.is_empty() {
            if let Some(object) = &mut self.object {
                let end = object.end(bytes);
                let part = bytes.split_to(end.unwrap_or(bytes.len()));
                if end.is_some() {
                    self.object = None;
                    let is_short = self.buffer.is_empty() && part.len() <= SMALL_BYTES;
                    let data = if is_short { part } else { self.finished(&part) };
                    return Some(BodyFrame { data, kind: FrameKind::Bare });
                }
                self.buffer.extend_from_slice(&part);
                continue;
            }
            if self.buffer.len() == self.line_at {
                self.skip_separators(bytes);
                if bytes.first() == Some(&b'{') {
                    if self.line_at > 0 || self.is_error {
                        return self.end_event();
                    }
                    self.object = Some(Nesting::default());
                    continue;
                }
                if let Some(frame) = self.event_in_one_piece(bytes) {
                    return Some(frame);
                }
            }
            let end = memchr2(b'\n', b'\r', bytes);
            let part = bytes.split_to(end.map_or(bytes.len(), |at| at + 1));
            let after_cr = take(&mut self.after_cr);
            match &*part {
                [b'\n'] if after_cr => {}
                [line @ .., end @ (b'\n' | b'\r')] => {
                    self.buffer.extend_from_slice(line);
                    self.after_cr = *end == b'\r';
                    if let Some(event) = self.end_line() {
                        return Some(event);
                    }
                }
                line => self.buffer.extend_from_slice(line),
            }
        }
        None
    }

    /// The next document that the end of the body left unfinished.
    pub(super) fn finish(&mut self) -> Option<BodyFrame> {
        if self.object.take().is_some() {
            return Some(BodyFrame { data: take(&mut self.buffer).into(), kind: FrameKind::Bare });
        }
        if self.buffer.len() > self.line_at
            && let Some(event) = self.end_line()
        {
            return Some(event);
        }
        self.end_event()
    }

    fn finished(&mut self, end: &[u8]) -> Bytes {
        self.buffer.extend_from_slice(end);
        take(&mut self.buffer).into()
    }

    /// Skips a byte order mark at the start of the body.
    fn skip_mark(&mut self, bytes: &mut Bytes) {
        while let (Mark::Matched(matched), Some(byte)) = (&mut self.mark, bytes.first()) {
            if *byte == BYTE_ORDER_MARK[*matched] {
                *matched += 1;
                let _ = bytes.split_to(1);
            }
            let matched = *matched;
            if matched == BYTE_ORDER_MARK.len() {
                self.mark = Mark::Over;
            } else if bytes.first().is_some_and(|byte| *byte != BYTE_ORDER_MARK[matched]) {
                // It was none: what was matched is text.
                self.buffer.extend_from_slice(&BYTE_ORDER_MARK[..matched]);
                self.mark = Mark::Over;
            }
        }
    }

    /// Skips what stands between the objects of a list, and blanks before a line.
    fn skip_separators(&mut self, bytes: &mut Bytes) {
        let separators = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'[' | b',' | b']')).count();
        if separators > 0 {
            self.after_cr = false;
            let _ = bytes.split_to(separators);
        }
    }

    /// The usual event, one `data` line with an empty line behind it, where all of it is there and short: then it is not
    /// copied.
    fn event_in_one_piece(&mut self, bytes: &mut Bytes) -> Option<BodyFrame> {
        if self.line_at > 0 || self.is_error || !bytes.starts_with(b"data:") {
            return None;
        }
        let end = memchr2(b'\n', b'\r', bytes)?;
        let gap = [b"\n\n".as_slice(), b"\r\n\r\n"].into_iter().find(|gap| bytes[end..].starts_with(gap))?;
        if end > SMALL_BYTES {
            return None;
        }
        let line = bytes.split_to(end + gap.len());
        self.after_cr = false;
        let from = if line[5] == b' ' { 6 } else { 5 };
        Some(BodyFrame { data: line.slice(from..end), kind: FrameKind::Event })
    }

    fn end_line(&mut self) -> Option<BodyFrame> {
        let line = &self.buffer[self.line_at..];
        if line.is_empty() {
            return self.end_event();
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let is_data = match name {
            b"data" => true,
            b"error" => {
                self.is_error = true;
                true
            }
            b"event" => {
                self.is_error |= value == b"error";
                false
            }
            // Comments have no name.
            b"" | b"id" | b"retry" => false,
            // The list's bracket was skipped.
            b"DONE]" => {
                let data = Bytes::from_static(b"[DONE]");
                self.buffer.truncate(self.line_at);
                return Some(BodyFrame { data, kind: FrameKind::Event });
            }
            _ => {
                self.saw_noise = true;
                false
            }
        };
        if is_data && !self.is_error && self.has_document() {
            // The empty line between two events is missing. This line is read again as the first of the next event.
            let data = Bytes::copy_from_slice(&self.buffer[..self.line_at - 1]);
            self.buffer.drain(..take(&mut self.line_at));
            self.has_line = true;
            return Some(BodyFrame { data, kind: FrameKind::Event });
        }
        if is_data {
            let length = value.len();
            self.buffer.drain(self.line_at..self.buffer.len() - length);
            self.buffer.push(b'\n');
        } else {
            self.buffer.truncate(self.line_at);
        }
        self.line_at = self.buffer.len();
        None
    }

    /// Whether the unfinished event has one line of data, which is a document.
    fn has_document(&self) -> bool {
        let Some(data) = self.line_at.checked_sub(1).map(|end| &self.buffer[..end]) else { return false };
        let is_json = || serde_json::from_slice::<IgnoredAny>(data).is_ok();
        memchr(b'\n', data).is_none() && (data == b"[DONE]" || data.starts_with(b"{") && is_json())
    }

    /// The data of all lines, if there was any, or where the event is an error.
    fn end_event(&mut self) -> Option<BodyFrame> {
        self.line_at = 0;
        let mut data = take(&mut self.buffer);
        let kind = if take(&mut self.is_error) { FrameKind::ErrorEvent } else { FrameKind::Event };
        let has_data = data.pop().is_some();
        (has_data || kind == FrameKind::ErrorEvent).then(|| BodyFrame { data: data.into(), kind })
    }
}

#[cfg(test)]
mod tests;
