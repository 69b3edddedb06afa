//! Decodes server-sent events as the HTML standard defines them. Only `data` is kept: both protocols repeat the event's
//! name in it.

use std::mem::{replace, take};

use bytes::Bytes;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Decodes events from bytes, however those are split. It buffers no more than the unfinished event.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The unfinished event: the value of each of its `data` lines, with a newline behind it, then the unfinished line.
    pub(super) buffer: Vec<u8>,
    /// Where the unfinished line begins.
    line_at: usize,
    /// The last line ended with a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// A line has ended: a byte order mark is valid only in the first one.
    begun: bool,
}

impl Decoder {
    /// Consumes bytes up to the end of an event, or all of them. Returns the event's data.
    pub(super) fn feed(&mut self, bytes: &mut Bytes) -> Option<String> {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
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

    /// The data of an event that the stream's end left without its empty line.
    pub(super) fn finish(mut self) -> Option<String> {
        if self.buffer.len() > self.line_at {
            self.end_line();
        }
        self.end_event()
    }

    fn end_line(&mut self) -> Option<String> {
        let is_first = !replace(&mut self.begun, true);
        let line = &self.buffer[self.line_at..];
        let line = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(line) if is_first => line,
            _ => line,
        };
        if line.is_empty() {
            self.buffer.truncate(self.line_at);
            return self.end_event();
        }
        // Other fields, and comments (fields without a name), are skipped.
        let value = match line.strip_prefix(b"data") {
            Some([b':', b' ', value @ ..] | [b':', value @ ..] | value @ []) => Some(value.len()),
            _ => None,
        };
        match value {
            Some(length) => {
                self.buffer.drain(self.line_at..self.buffer.len() - length);
                self.buffer.push(b'\n');
            }
            None => self.buffer.truncate(self.line_at),
        }
        self.line_at = self.buffer.len();
        None
    }

    /// The data of all lines, if there was any.
    fn end_event(&mut self) -> Option<String> {
        self.line_at = 0;
        let mut data = take(&mut self.buffer);
        data.pop().map(|_| text(data))
    }
}

fn text(data: Vec<u8>) -> String {
    String::from_utf8(data).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every event that ends in these bytes.
    fn fed(decoder: &mut Decoder, bytes: &[u8]) -> Vec<String> {
        let mut bytes = Bytes::copy_from_slice(bytes);
        std::iter::from_fn(|| decoder.feed(&mut bytes)).collect()
    }

    #[test]
    fn events_are_read_in_every_form_that_servers_send() {
        for (bytes, expected) in [
            ("", &[][..]),
            ("data: a\n\ndata: b\n\n", &["a", "b"]),
            ("data:a\r\n\r\ndata:  b\r\n\r\n", &["a", " b"]),
            ("data: a\r\rdata: b\r\r", &["a", "b"]),
            ("data: a\r\n\ndata: b\n\r\n", &["a", "b"]),
            ("event: x\nid: 1\ndata: a\nretry: 5\n\n", &["a"]),
            ("data: a\ndata\ndata:\ndata: b: c\n\n", &["a\n\n\nb: c"]),
            (": ping\n\n:\n\nevent: x\n\n\n\ndata: a\n\n", &["a"]),
            ("data\n\ndata: \n\n", &["", ""]),
            (" data: a\nDATA: b\ndatas: c\n\n", &[]),
            ("\u{feff}data: a\n\n\u{feff}data: b\n\n", &["a"]),
            ("\u{feff}\n\ndata: a\n\n", &["a"]),
            ("data: ä\u{2028}b\n\n", &["ä\u{2028}b"]),
            ("data: a\n\ndata: b", &["a"]),
        ] {
            assert_eq!(fed(&mut Decoder::default(), bytes.as_bytes()), expected, "{bytes:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(fed(&mut Decoder::default(), b"data: a\xffb\n\n"), ["a\u{fffd}b"]);
    }

    #[test]
    fn the_end_of_the_stream_ends_the_last_event() {
        for (bytes, expected) in [
            ("", None),
            ("data: a\n\n", None),
            ("data: a\n\nevent: x", None),
            ("data: a\n\ndata: b\n", Some("b")),
            ("data: a\ndata: b", Some("a\nb")),
            ("data: a\r", Some("a")),
        ] {
            let mut decoder = Decoder::default();
            fed(&mut decoder, bytes.as_bytes());
            assert_eq!(decoder.finish().as_deref(), expected, "{bytes:?}");
        }
    }

    /// Streams of characters that matter to the decoder.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let parts: Vec<&[u8]> =
            vec![b"data: ", b"data:", b"data", b"event: x", b":", b" ", b"a", "ä€😀".as_bytes(), b"\xff", b"\0"];
        let ends: Vec<&[u8]> = vec![b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", BYTE_ORDER_MARK];
        let piece = prop_oneof![prop::sample::select(parts), prop::sample::select(ends)];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_split_the_events_are_the_same(
            stream in streams(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let mut whole = Decoder::default();
            let expected = fed(&mut whole, &stream);

            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let mut split = Decoder::default();
            let events: Vec<_> = cuts.windows(2).flat_map(|cut| fed(&mut split, &stream[cut[0]..cut[1]])).collect();
            prop_assert_eq!(events, expected);
            prop_assert_eq!(split.finish(), whole.finish());

            let mut bytewise = Decoder::default();
            let events: Vec<_> = stream.iter().flat_map(|byte| fed(&mut bytewise, &[*byte])).collect();
            prop_assert_eq!(&events, &fed(&mut Decoder::default(), &stream));
        }
    }
}
