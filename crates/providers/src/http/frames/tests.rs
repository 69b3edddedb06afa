//! Which documents a body is split into.

use super::*;
use proptest::prelude::*;

/// Every document that ends in these bytes.
fn fed(decoder: &mut Decoder, bytes: &[u8]) -> Vec<BodyFrame> {
    let mut bytes = Bytes::copy_from_slice(bytes);
    std::iter::from_fn(|| decoder.feed(&mut bytes)).collect()
}

fn texts(frames: &[BodyFrame]) -> Vec<String> {
    frames.iter().map(|frame| String::from_utf8_lossy(&frame.data).into_owned()).collect()
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
        ("DATA: b\ndatas: c\n\n", &[]),
        ("  data: a\n\n", &["a"]),
        ("\u{feff}data: a\n\n\u{feff}data: b\n\n", &["a"]),
        ("\u{feff}\n\ndata: a\n\n", &["a"]),
        ("data: ä\u{2028}b\n\n", &["ä\u{2028}b"]),
        ("data: a\n\ndata: b", &["a"]),
        ("data: {\"a\":1}\ndata: {\"b\":\ndata: 2}\n\n", &["{\"a\":1}", "{\"b\":\n2}"]),
        ("data: {}\ndata: [DONE]\n\n", &["{}", "[DONE]"]),
        ("data: [DONE]\nid: 1\ndata: {}\n\n", &["[DONE]", "{}"]),
    ] {
        let frames = fed(&mut Decoder::default(), bytes.as_bytes());
        assert_eq!(texts(&frames), expected, "{bytes:?}");
        assert!(frames.iter().all(|frame| frame.kind == FrameKind::Event), "{bytes:?}");
    }
}

#[test]
fn json_is_read_in_every_form_that_servers_send() {
    for (bytes, expected) in [
        (r#"{"a":1}"#, &[r#"{"a":1}"#][..]),
        ("\u{feff} \r\n\t{\"a\":[{}]}\n", &[r#"{"a":[{}]}"#]),
        ("{\n  \"a\": \"}\\\"{\"\n}\n", &["{\n  \"a\": \"}\\\"{\"\n}"]),
        (r#"{"a":"\\"}{"b":"]"}"#, &[r#"{"a":"\\"}"#, r#"{"b":"]"}"#]),
        ("{\"a\":1}\n{\"b\":2}\r\n\r\n{\"c\":3}", &[r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]),
        ("[{\"a\":1},\n {\"b\":2}]", &[r#"{"a":1}"#, r#"{"b":2}"#]),
        ("{\"a\":1}\n\ndata: [DONE]\n\n", &[r#"{"a":1}"#, "[DONE]"]),
        ("{\"a\":1}\n[DONE]\n", &[r#"{"a":1}"#, "[DONE]"]),
        ("data: a\n\n{\"b\":2}\n", &["a", r#"{"b":2}"#]),
        ("data: a\n{\"b\":2}\n", &["a", r#"{"b":2}"#]),
        ("{\"a\":1}}\n{\"b\":2}", &[r#"{"a":1}"#, r#"{"b":2}"#]),
        ("{\"a\":", &[]),
        ("<html>{}</html>", &[]),
        ("", &[]),
    ] {
        assert_eq!(texts(&fed(&mut Decoder::default(), bytes.as_bytes())), expected, "{bytes:?}");
    }
}

#[test]
fn what_is_marked_as_an_error_is_one() {
    for (bytes, expected) in [
        ("event: error\ndata: a\n\n", "a"),
        ("data: a\nevent:error\n\n", "a"),
        ("error: a\n\n", "a"),
        ("error: {\"a\":1}\r\n\r\n", r#"{"a":1}"#),
        ("event: error\n\n", ""),
        ("event: error\n{\"a\":1}\n", ""),
    ] {
        let frames = fed(&mut Decoder::default(), bytes.as_bytes());
        assert_eq!((frames[0].kind, texts(&frames)[0].as_str()), (FrameKind::ErrorEvent, expected), "{bytes:?}");
    }
    let after = fed(&mut Decoder::default(), b"event: error\ndata: a\n\ndata: b\n\n");
    assert_eq!(after[1].kind, FrameKind::Event);
}

#[test]
fn what_is_neither_is_noticed() {
    for (bytes, expected) in [("<html>\n", true), ("null\n", true), (": a\nid: 1\n\n{}\n", false), (" \r\n\n", false)] {
        let mut decoder = Decoder::default();
        fed(&mut decoder, bytes.as_bytes());
        assert_eq!(decoder.saw_noise, expected, "{bytes:?}");
    }
}

#[test]
fn the_end_of_the_body_ends_the_last_document() {
    for (bytes, expected) in [
        ("", None),
        ("data: a\n\n", None),
        ("data: a\n\nevent: x", None),
        ("data: a\n\ndata: b\n", Some("b")),
        ("data: a\ndata: b", Some("a\nb")),
        ("data: a\r", Some("a")),
        ("data: [DONE]", Some("[DONE]")),
        ("{\"a\":1}\n[DONE]", Some("[DONE]")),
        ("event: error", Some("")),
        ("{\"a\":{\"b\"", Some("{\"a\":{\"b\"")),
    ] {
        let mut decoder = Decoder::default();
        fed(&mut decoder, bytes.as_bytes());
        let rest = decoder.finish().map(|frame| String::from_utf8_lossy(&frame.data).into_owned());
        assert_eq!(rest.as_deref(), expected, "{bytes:?}");
    }
}

/// Bodies of characters that matter to the decoder.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&[u8]> = vec![
        b"data: ",
        b"data:",
        b"data",
        b"event: error",
        b"error: a",
        b":",
        b" ",
        b"a",
        "ä€😀".as_bytes(),
        b"\xff",
        b"\0",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b"\"",
        b"\\",
        b"{\"a\":1}",
        b"[DONE]",
        b"data: {\"b\":[]}\n\n",
    ];
    let ends: Vec<&[u8]> = vec![b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", BYTE_ORDER_MARK, b"\xef\xbb"];
    let piece = prop_oneof![prop::sample::select(parts), prop::sample::select(ends)];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn however_the_bytes_are_split_the_documents_are_the_same(
        body in bodies(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut whole = Decoder::default();
        let expected = fed(&mut whole, &body);

        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let mut split = Decoder::default();
        let frames: Vec<_> = cuts.windows(2).flat_map(|cut| fed(&mut split, &body[cut[0]..cut[1]])).collect();
        prop_assert_eq!(&frames, &expected);
        prop_assert_eq!(split.saw_noise, whole.saw_noise);

        let mut bytewise = Decoder::default();
        let frames: Vec<_> = body.iter().flat_map(|byte| fed(&mut bytewise, &[*byte])).collect();
        prop_assert_eq!(&frames, &expected);
        let rest = whole.finish();
        prop_assert_eq!(&split.finish(), &rest);
        prop_assert_eq!(&bytewise.finish(), &rest);
    }
}
