//! Numbers, times and states in words.

use hawser_api::Status;
use hawser_api::v1::Change;

/// Bytes with a binary unit, as disks are spoken of: `512 B`, `4.0 KiB`, `1.5 TiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        // From here on it would be shown as 1024.0.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// The text, or a dash if there is none, so that no cell of a table is empty.
pub(crate) fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Milliseconds since 1970 as `2026-01-31 12:00:00Z`; a dash for 0.
pub(crate) fn time(milliseconds: i64) -> String {
    if milliseconds == 0 {
        return "-".to_owned();
    }
    let seconds = milliseconds.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Years are counted
/// from March here, so that the leap day comes last.
fn date(days: i64) -> (i64, i64, i64) {
    const DAYS_IN_400_YEARS: i64 = 146_097;
    // Day 0 is 0000-03-01.
    let day = days + 719_468;
    let era = day.div_euclid(DAYS_IN_400_YEARS);
    let day = day.rem_euclid(DAYS_IN_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let from_january = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(from_january <= 2);
    (year, from_january, day_of_month)
}

/// What a call did to the stored state.
pub(crate) fn change(change: Change) -> &'static str {
    match change {
        Change::Unspecified => "done",
        Change::Created => "added",
        Change::Updated => "replaced",
        Change::Unchanged => "unchanged",
        Change::Removed => "removed",
    }
}

/// The warning of a call that was carried out, if there is one.
pub(crate) fn warning(status: u32) -> Option<String> {
    let status = Status::from_code(status);
    (!status.is_success()).then(|| format!("warning: {} [{status}]", status.text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_binary_units() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (64 << 20, "64.0 MiB"),
            (10 << 40, "10.0 TiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }

    // Dates as `date -u -d @SECONDS` gives them.
    #[test]
    fn times_are_in_the_gregorian_calendar() {
        let cases = [
            (1, "1970-01-01 00:00:00Z"),
            (951_782_400_000, "2000-02-29 00:00:00Z"),
            (1_767_225_599_999, "2025-12-31 23:59:59Z"),
            (1_767_225_600_000, "2026-01-01 00:00:00Z"),
            (4_107_542_400_000, "2100-03-01 00:00:00Z"),
            (-1000, "1969-12-31 23:59:59Z"),
        ];
        for (milliseconds, text) in cases {
            assert_eq!(time(milliseconds), text);
        }
        assert_eq!(time(0), "-");
    }

    #[test]
    fn warnings_are_told_by_name() {
        assert_eq!(warning(0), None);
        let text = warning(0xafff_0048).expect("is one");
        assert!(text.contains("ISDSC_SHORT_CHAP_SECRET"), "{text}");
    }
}
