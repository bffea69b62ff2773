//! Moments, lengths of time and numbers as people read them.

use maud::{Markup, html};
use onward::internals::clock;

/// A moment, milliseconds since the Unix epoch: day and time of UTC.
pub fn moment(ms: i64) -> Markup {
    let whole = clock::rfc3339(ms.div_euclid(1000).saturating_mul(1000));
    let (day, time) = whole.split_once('T').unwrap_or((&whole, ""));
    html! { time datetime=(whole) { (day) " " (time.trim_end_matches('Z')) " UTC" } }
}

/// A length of time in milliseconds, in the unit that fits.
pub fn length(ms: i64) -> String {
    let ms = ms.max(0);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        10_000..120_000 => format!("{} s", ms / 1000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// A number with its thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of things: `1 commit`, `2 commits`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_written_for_people() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(
            (counted(1, "op", "ops"), counted(2, "op", "ops")),
            ("1 op".into(), "2 ops".into())
        );
        for (ms, text) in [
            (-5, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (59_999, "59 s"),
            (120_000, "2 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 days"),
        ] {
            assert_eq!(length(ms), text);
        }
        let markup = moment(1_795_907_127_123).into_string();
        assert_eq!(
            markup,
            "<time datetime=\"2026-11-28T23:05:27Z\">2026-11-28 23:05:27 UTC</time>"
        );
    }
}
