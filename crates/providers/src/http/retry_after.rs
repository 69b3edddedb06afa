//! How long a provider asks to wait before the next call: `retry-after-ms`, as OpenAI and Azure send it, or
//! `Retry-After` in its two forms (RFC 9110, 10.2.3).

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The wish of a response. A date counts from the response's own `Date`, since clocks differ, or else from `now`; one in
/// the past is zero.
pub(super) fn wish(headers: &HeaderMap, now: fn() -> SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |value: &str| Duration::try_from_secs_f64(value.parse().ok()?).ok();
    let millis =
        text("retry-after-ms").and_then(|value| Duration::try_from_secs_f64(value.parse::<f64>().ok()? / 1e3).ok());
    // None of a millisecond, or none that can be read, is no wish beside the other header.
    millis
        .filter(|wish| !wish.is_zero())
        .or_else(|| {
            let value = text(RETRY_AFTER.as_str())?;
            // Seconds may have a fraction, as some gateways send them.
            seconds(value).or_else(|| {
                let date = httpdate::parse_http_date(value).ok()?;
                let sent = text(DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok());
                Some(date.duration_since(sent.unwrap_or_else(now)).unwrap_or_default())
            })
        })
        .or(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_milliseconds_and_dates_are_read() {
        let now = || httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let ms = |millis| Some(Duration::from_millis(millis));
        let hour_back = [("date", "Sun, 06 Nov 1994 07:49:37 GMT")];
        for (others, value, expected) in [
            (&[][..], "0", ms(0)),
            (&[], " 120 ", ms(120_000)),
            (&[], "1.5", ms(1500)),
            (&[], "Sun, 06 Nov 1994 08:50:37 GMT", ms(60_000)),
            (&[], "Sunday, 06-Nov-94 08:49:38 GMT", ms(1000)),
            (&[], "Sun, 06 Nov 1994 08:00:00 GMT", ms(0)),
            (&[], "-1", None),
            (&[], "NaN", None),
            (&[], "inf", None),
            (&[], "1e300", None),
            (&[], "soon", None),
            (&[], "", None),
            // The answer's clock is an hour behind.
            (&hour_back, "Sun, 06 Nov 1994 07:49:57 GMT", ms(20_000)),
            (&hour_back, "7", ms(7000)),
            (&[("date", "today")], "Sun, 06 Nov 1994 08:50:37 GMT", ms(60_000)),
            (&[("retry-after-ms", "1500")], "7", ms(1500)),
            (&[("retry-after-ms", "soon")], "7", ms(7000)),
            (&[("retry-after-ms", "250.5")], "", Some(Duration::from_micros(250_500))),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            for (name, value) in others {
                headers.insert(*name, value.parse().unwrap());
            }
            assert_eq!(wish(&headers, now), expected, "{value:?} {others:?}");
        }
        assert_eq!(wish(&HeaderMap::new(), now), None);
    }
}
