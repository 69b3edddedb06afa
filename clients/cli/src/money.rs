//! Amounts of money: nano-US-dollars (10^-9 USD) in the contract, dollars for people. Nothing is rounded.

/// Nano-dollars of a dollar.
const NANO: u64 = 1_000_000_000;
/// Decimals of a nano-dollar.
const DECIMALS: usize = 9;

/// The amount in dollars, exactly: `$0.15`, `$0.000012345`, `$3`. Two decimals at least where there are any.
pub(crate) fn dollars(nano: i64) -> String {
    let (sign, amount) = (if nano < 0 { "-" } else { "" }, nano.unsigned_abs());
    let (whole, rest) = (amount / NANO, amount % NANO);
    if rest == 0 {
        return format!("{sign}${whole}");
    }
    let digits = format!("{rest:0DECIMALS$}");
    let digits = digits.trim_end_matches('0');
    format!("{sign}${whole}.{digits:0<2}")
}

/// Dollars as nano-dollars: `0.15`, `$3`, `0.000000001`.
pub(crate) fn nano_dollars(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no price: write dollars with at most {DECIMALS} decimals, as 0.15");
    let amount = text.strip_prefix('$').unwrap_or(text);
    let (whole, rest) = amount.split_once('.').unwrap_or((amount, ""));
    let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(rest) || rest.len() > DECIMALS || amount.ends_with('.') {
        return Err(wrong());
    }
    format!("{whole}{rest:0<DECIMALS$}").parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_dollars_and_back_without_a_loss() {
        for (nano, shown) in [
            (0, "$0"),
            (1, "$0.000000001"),
            (150_000_000, "$0.15"),
            (100_000_000, "$0.10"),
            (3_000_000_000, "$3"),
            (1_234_567_890, "$1.23456789"),
            (i64::MAX, "$9223372036.854775807"),
        ] {
            assert_eq!((dollars(nano), nano_dollars(shown)), (shown.to_owned(), Ok(nano)));
        }
        assert_eq!(dollars(-1_500_000_000), "-$1.50");
        assert_eq!(nano_dollars("2.5"), Ok(2_500_000_000));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "1e3", "0.0000000001", "9223372036.854775808", "1,50", "$", "free"] {
            assert!(nano_dollars(text).unwrap_err().contains("0.15"), "{text}");
        }
    }
}
