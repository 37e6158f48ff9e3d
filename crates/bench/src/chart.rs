//! The chart: each contest as a group of bars, with a scale of its own.

use std::fmt::Write as _;

use crate::bars::Metric;
use crate::contest::Row;
use crate::report::Shown;

/// Where the bars begin and how long the longest is, in pixels.
const LEFT: f64 = 420.0;
const LONGEST: f64 = 420.0;
/// Of the whole.
const WIDTH: f64 = 980.0;
/// Of a line.
const LINE: f64 = 18.0;
/// Ours, and theirs.
const COLOURS: [&str; 2] = ["#2563a8", "#b0b7c0"];

/// Draws all contests, one below the other.
pub(crate) fn draw(contests: &[Shown]) -> String {
    let mut body = String::new();
    let mut y = LINE;
    for shown in contests {
        group(&mut body, shown, &mut y);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

/// One contest: a heading, then a bar for each row.
fn group(body: &mut String, shown: &Shown, y: &mut f64) {
    let what = match shown.metric {
        Metric::Cpu => "CPU time per I/O in µs, less is better",
        Metric::P50 => "median latency in µs, less is better",
        Metric::Throughput => "MB/s, more is better",
    };
    let heading = format!("{}, {}: {what}", shown.held.name, shown.held.place);
    // Writing into a String cannot fail.
    let _ = writeln!(
        body,
        "<text x=\"10\" y=\"{y}\" font-weight=\"bold\">{}</text>",
        escaped(&heading)
    );
    let values: Vec<Option<f64>> = shown
        .held
        .rows
        .iter()
        .map(|row| value(row, shown.metric))
        .collect();
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    for (row, value) in shown.held.rows.iter().zip(values) {
        // Who does not tell this has no bar.
        let Some(value) = value.filter(|_| most > 0.0) else {
            continue;
        };
        *y += LINE;
        bar(body, row, value, value / most * LONGEST, *y);
    }
    *y += 2.0 * LINE;
}

fn bar(body: &mut String, row: &Row, value: f64, length: f64, y: f64) {
    let colour = COLOURS[usize::from(!row.subject.is_ours())];
    let label = escaped(&format!("{}, {}", row.subject, row.case));
    let (label_x, top, end) = (LEFT - 8.0, y - 11.0, LEFT + length + 6.0);
    let _ = writeln!(
        body,
        "<text x=\"{label_x}\" y=\"{y}\" text-anchor=\"end\">{label}</text>\
         <rect x=\"{LEFT}\" y=\"{top}\" width=\"{length:.1}\" height=\"13\" fill=\"{colour}\"/>\
         <text x=\"{end:.1}\" y=\"{y}\">{value:.1}</text>"
    );
}

fn value(row: &Row, metric: Metric) -> Option<f64> {
    match metric {
        Metric::Cpu => row.median(|sample| Some(sample.cpu_us)),
        Metric::P50 => row.median(|sample| sample.p50_us),
        Metric::Throughput => row.median(|sample| Some(sample.bytes_per_s / 1e6)),
    }
}

/// As text in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::case::{Case, Pattern, SMALL};
    use crate::contest::{Effort, Held};
    use crate::site::Place;
    use crate::subject::{Sample, Subject};

    #[test]
    fn each_row_has_a_bar_to_scale() {
        let row = |subject, cpu_us| Row {
            subject,
            case: Case::new(Pattern::Read, SMALL, 32),
            samples: vec![Sample {
                ios: 1.0,
                iops: 1.0,
                bytes_per_s: 1.0,
                cpu_us,
                p50_us: None,
                p99_us: None,
            }],
        };
        let shown = Shown {
            metric: Metric::Cpu,
            effort: Effort {
                runs: 1,
                time: Duration::from_secs(1),
            },
            held: Held {
                name: "a<b".to_owned(),
                place: Place::Own,
                rows: vec![row(Subject::Hawser, 2.0), row(Subject::Limit, 4.0)],
            },
        };
        let svg = draw(&[shown]);
        assert!(
            svg.contains("width=\"210.0\"") && svg.contains("width=\"420.0\""),
            "{svg}"
        );
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"));
    }
}
