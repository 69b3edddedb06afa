//! Server-sent events, framed as the HTML standard says. Only their data matters: both protocols repeat the rest in it.

use std::mem::take;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Makes events of bytes, however those are split. It holds no more than the event that has not ended yet.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The data of the event that has not ended yet; absent when it has none so far.
    data: Option<Vec<u8>>,
    /// The last line ended with a CR: an LF that comes next belongs to it.
    after_cr: bool,
    /// A line has ended: a byte order mark stands only before that.
    begun: bool,
}

impl Decoder {
    /// The data of each event that ends in these bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut events = Vec::new();
        for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let after_cr = take(&mut self.after_cr);
            match part {
                [b'\n'] if after_cr => {}
                [line @ .., end @ (b'\n' | b'\r')] => {
                    self.line.extend_from_slice(line);
                    self.after_cr = *end == b'\r';
                    events.extend(self.end_line());
                }
                line => self.line.extend_from_slice(line),
            }
        }
        events
    }

    /// The data of an event that the end of the stream left without its empty line.
    pub(super) fn finish(mut self) -> Option<String> {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.data.map(text)
    }

    fn end_line(&mut self) -> Option<String> {
        let line = take(&mut self.line);
        let line = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(line) if !self.begun => line,
            _ => &line,
        };
        self.begun = true;
        if line.is_empty() {
            return self.data.take().map(text);
        }
        // A comment is a field without a name.
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        if name == b"data" {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            }
        }
        None
    }
}

fn text(data: Vec<u8>) -> String {
    String::from_utf8(data).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            assert_eq!(Decoder::default().feed(bytes.as_bytes()), expected, "{bytes:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(Decoder::default().feed(b"data: a\xffb\n\n"), ["a\u{fffd}b"]);
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
            decoder.feed(bytes.as_bytes());
            assert_eq!(decoder.finish().as_deref(), expected, "{bytes:?}");
        }
    }

    /// Streams made of what matters to the decoder.
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
            let expected = whole.feed(&stream);

            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let mut split = Decoder::default();
            let events: Vec<_> = cuts.windows(2).flat_map(|cut| split.feed(&stream[cut[0]..cut[1]])).collect();
            prop_assert_eq!(events, expected);
            prop_assert_eq!(split.finish(), whole.finish());

            let mut bytewise = Decoder::default();
            let events: Vec<_> = stream.iter().flat_map(|byte| bytewise.feed(&[*byte])).collect();
            prop_assert_eq!(&events, &Decoder::default().feed(&stream));
        }
    }
}
