//! Money: nano-US-dollars in the contract, decimal strings in JSON.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// Nano-US-dollars in a dollar.
const NANO: i64 = 1_000_000_000;

/// US dollars as a decimal string with nine places: `0.000150000`. A request may send fewer places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = Usd, value_type = String, pattern = r"^[0-9]{1,10}(\.[0-9]{1,9})?$", example = "0.150000000")]
pub(crate) struct UsdJson(pub(crate) i64);

impl Serialize for UsdJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (sign, nano) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let whole = NANO.unsigned_abs();
        serializer.collect_str(&format_args!("{sign}{}.{:09}", nano / whole, nano % whole))
    }
}

impl<'de> Deserialize<'de> for UsdJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("is no price; send US dollars as a decimal string such as \"0.15\"");
        let sent = String::deserialize(deserializer)?;
        parse(&sent).map(Self).ok_or_else(wrong)
    }
}

/// The nano-US-dollars of a decimal string; absent where it has another form, or more than nine places.
fn parse(sent: &str) -> Option<i64> {
    let (whole, part) = sent.split_once('.').unwrap_or((sent, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 9 {
        return None;
    }
    let part: i64 = format!("{part:0<9}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(NANO)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_come_back_to_the_nano_dollar() {
        for (nano, told) in [
            (0, "0.000000000"),
            (1, "0.000000001"),
            (150_000, "0.000150000"),
            (2_500_000_000, "2.500000000"),
            (i64::MAX, "9223372036.854775807"),
        ] {
            assert_eq!(serde_json::to_value(UsdJson(nano)).unwrap(), told);
            assert_eq!(serde_json::from_value::<UsdJson>(told.into()).unwrap(), UsdJson(nano));
        }
        assert_eq!(serde_json::to_value(UsdJson(-1)).unwrap(), "-0.000000001");
    }

    #[test]
    fn a_price_is_digits_with_at_most_nine_places() {
        for (sent, nano) in [("0.15", 150_000_000), ("3", 3_000_000_000), ("0.5", 500_000_000)] {
            assert_eq!(parse(sent), Some(nano));
        }
        for wrong in ["", ".", "1.", ".5", "-1", "+1", "1e3", "0.1234567890", "9223372036.854775808", "1,5", "١"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
