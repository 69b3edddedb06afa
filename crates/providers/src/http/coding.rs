//! Content codings. None is asked for, but some servers and gateways compress all the same. What comes out is handed on
//! in small pieces, so that a few bytes on the wire never take much memory at once.

use std::io::{self, Write};
use std::mem::take;

use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// Bytes that are decoded at a time: deflate makes at most 1,032 of one.
const STEP_BYTES: usize = 256;
/// The first byte of gzip, with which neither JSON nor an event begins.
const GZIP_MAGIC: u8 = 0x1f;

/// How a body is coded.
#[derive(Debug)]
pub(super) enum Coding {
    /// Told by the first byte.
    Unknown {
        deflate: bool,
    },
    Plain,
    Coded(Box<Inflater>),
}

/// The coding that a response names; the name of one that cannot be decoded.
pub(super) fn named(headers: &HeaderMap) -> Result<Coding, String> {
    let names = headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut names = names.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase());
    let mut names = names.by_ref().filter(|name| !matches!(name.as_str(), "" | "identity"));
    match (names.next().as_deref(), names.next()) {
        (None | Some("gzip" | "x-gzip"), None) => Ok(Coding::Unknown { deflate: false }),
        (Some("deflate"), None) => Ok(Coding::Unknown { deflate: true }),
        (first, more) => Err([first.map(str::to_owned), more].into_iter().flatten().collect::<Vec<_>>().join(", ")),
    }
}

impl Coding {
    /// Settles the coding by the body's first bytes; a header may be wrong about gzip.
    pub(super) fn settle(&mut self, first: &[u8]) {
        let Self::Unknown { deflate } = *self else { return };
        *self = match first.first() {
            None => return,
            Some(&GZIP_MAGIC) => Self::coded(Format::Gzip(MultiGzDecoder::new(Vec::new()))),
            // The header is wrong.
            Some(_) if deflate && is_plain(first) => Self::Plain,
            // With zlib's header, as the standard has it, or without, as some servers send it.
            Some(byte) if deflate && byte & 0x0f == 8 => Self::coded(Format::Zlib(ZlibDecoder::new(Vec::new()))),
            Some(_) if deflate => Self::coded(Format::Deflate(DeflateDecoder::new(Vec::new()))),
            Some(_) => Self::Plain,
        };
    }

    fn coded(format: Format) -> Self {
        Self::Coded(Box::new(Inflater { format, coded: Bytes::new() }))
    }
}

/// Whether a body begins as JSON or events do, and as text.
fn is_plain(first: &[u8]) -> bool {
    let begins: [&[u8]; 7] = [b"{", b"[", b":", b"data", b"event", b"id", b"retry"];
    let is_text = str::from_utf8(first).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_text && begins.iter().any(|begin| first.trim_ascii_start().starts_with(begin))
}

/// Decodes a body piece by piece.
#[derive(Debug)]
pub(super) struct Inflater {
    format: Format,
    /// What is not decoded yet.
    coded: Bytes,
}

#[derive(Debug)]
enum Format {
    Gzip(MultiGzDecoder<Vec<u8>>),
    Zlib(ZlibDecoder<Vec<u8>>),
    Deflate(DeflateDecoder<Vec<u8>>),
}

impl Inflater {
    /// The next bytes to decode; those before must have been.
    pub(super) fn feed(&mut self, coded: Bytes) {
        self.coded = coded;
    }

    /// The next decoded piece; absent where more must be fed.
    pub(super) fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.coded.is_empty() {
            let step = self.coded.split_to(self.coded.len().min(STEP_BYTES));
            let decoded = match &mut self.format {
                Format::Gzip(decoder) => decoded(decoder, &step).map(|()| take(decoder.get_mut())),
                Format::Zlib(decoder) => decoded(decoder, &step).map(|()| take(decoder.get_mut())),
                Format::Deflate(decoder) => decoded(decoder, &step).map(|()| take(decoder.get_mut())),
            }?;
            if !decoded.is_empty() {
                return Ok(Some(decoded.into()));
            }
        }
        Ok(None)
    }

    /// The body has ended. Fails where the coding had not.
    pub(super) fn end(&mut self) -> io::Result<()> {
        match &mut self.format {
            Format::Gzip(decoder) => decoder.try_finish(),
            Format::Zlib(decoder) => decoder.try_finish(),
            Format::Deflate(decoder) => decoder.try_finish(),
        }
    }
}

/// Decodes so far that nothing is held back.
fn decoded(decoder: &mut impl Write, coded: &[u8]) -> io::Result<()> {
    decoder.write_all(coded)?;
    decoder.flush()
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use reqwest::header::HeaderValue;

    use super::*;

    const TEXT: &[u8] = b"{\"choices\":[]} and so on";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// The decoded body of these pieces, and the longest piece of it.
    fn decoded(coding: &str, pieces: &[&[u8]]) -> io::Result<(Vec<u8>, usize)> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
        let mut coding = named(&headers).unwrap();
        let (mut body, mut longest) = (Vec::new(), 0);
        for piece in pieces {
            coding.settle(piece);
            match &mut coding {
                Coding::Coded(inflater) => {
                    inflater.feed(Bytes::copy_from_slice(piece));
                    while let Some(decoded) = inflater.next()? {
                        longest = longest.max(decoded.len());
                        body.extend_from_slice(&decoded);
                    }
                }
                Coding::Unknown { .. } | Coding::Plain => body.extend_from_slice(piece),
            }
        }
        if let Coding::Coded(inflater) = &mut coding {
            inflater.end()?;
        }
        Ok((body, longest))
    }

    #[test]
    fn a_coded_body_is_decoded_whatever_its_header_says() {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(TEXT).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(TEXT).unwrap();
        let twice = [gzip(&TEXT[..9]), gzip(&TEXT[9..])].concat();
        for (coding, body) in [
            ("gzip", gzip(TEXT)),
            ("X-GZip", gzip(TEXT)),
            ("identity", gzip(TEXT)),
            ("", gzip(TEXT)),
            ("gzip", TEXT.to_vec()),
            ("identity, gzip", twice),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
            ("deflate", gzip(TEXT)),
            ("identity", TEXT.to_vec()),
        ] {
            assert_eq!(decoded(coding, &[&body]).unwrap().0, TEXT, "{coding}");
            let bytes: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(decoded(coding, &bytes).unwrap().0, TEXT, "{coding} bytewise");
        }
    }

    #[test]
    fn a_body_that_grows_a_thousandfold_comes_in_small_pieces() {
        let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
        let (body, longest) = decoded("gzip", &[&bomb]).unwrap();
        assert_eq!(body.len(), 64 * 1024 * 1024);
        assert!(longest <= 512 * 1024, "{longest}");
    }

    #[test]
    fn a_body_that_is_cut_or_corrupt_is_an_error() {
        let body = gzip(TEXT);
        assert!(decoded("gzip", &[&body[..body.len() - 9]]).is_err());
        let mut wrong = body;
        wrong[12] ^= 0xff;
        assert!(decoded("gzip", &[&wrong]).is_err());
    }

    #[test]
    fn other_codings_are_named() {
        for (coding, expected) in [("br", "br"), ("zstd", "zstd"), ("gzip, gzip", "gzip, gzip")] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
            assert_eq!(named(&headers).unwrap_err(), expected);
        }
    }
}
