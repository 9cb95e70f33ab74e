//! A horizontal bar plot as SVG, readable on a light and on a dark page.

use std::fmt::Write as _;

use super::summary::{MEMORY, RATIOS, Row, Spread};
use crate::load::Mode;

const WIDTH: f64 = 720.0;
/// Where bars begin, right of their labels.
const LEFT: f64 = 190.0;
/// What is left free for the figure behind the longest bar.
const RIGHT: f64 = 60.0;
const TITLE_HEIGHT: f64 = 30.0;
const GROUP_HEIGHT: f64 = 22.0;
const BAR_HEIGHT: f64 = 16.0;
const BAR_GAP: f64 = 4.0;
const COLOURS: [&str; 6] = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"];
const GREY: &str = "#888888";
const INFALLIBLE: &str = "a string takes every write";

/// Groups of bars on one scale.
pub(super) struct Chart {
    title: String,
    /// Where a line marks the limit.
    mark: Option<f64>,
    groups: Vec<Group>,
}

struct Group {
    label: &'static str,
    bars: Vec<(String, f64)>,
}

/// Ratios of every server but the limit, which is the line at 1; memory in KiB, the limit's too.
pub(super) fn of_mode(mode: Mode, rows: &[Row]) -> Chart {
    let rows: Vec<_> = rows.iter().filter(|row| row.mode == mode).collect();
    let figures = |pick: &dyn Fn(&Row) -> Option<Spread>| -> Vec<(String, f64)> {
        rows.iter().filter_map(|row| Some((row.server.clone(), pick(row)?.median))).collect()
    };
    let is_timed = rows.iter().any(|row| row.ratios.iter().any(Option::is_some));
    let groups: Vec<Group> = if is_timed {
        let bars = |at: usize| figures(&|row| row.ratios[at].filter(|_| !row.is_limit()));
        RATIOS.into_iter().enumerate().map(|(at, label)| Group { label, bars: bars(at) }).collect()
    } else {
        let bars = |at: usize| figures(&|row| row.memory[at]);
        MEMORY.into_iter().enumerate().map(|(at, label)| Group { label, bars: bars(at) }).collect()
    };
    let name = mode.name();
    let title =
        if is_timed { format!("{name}: ratio to the limit") } else { format!("{name}: KiB resident") };
    Chart { title, mark: is_timed.then_some(1.0), groups }
}

impl Chart {
    pub(super) fn svg(&self) -> String {
        let bars = || self.groups.iter().flat_map(|group| &group.bars);
        let highest = bars().map(|(_, value)| *value).chain(self.mark).fold(f64::MIN_POSITIVE, f64::max);
        let scale = (WIDTH - LEFT - RIGHT) / highest;
        let height = TITLE_HEIGHT
            + self.groups.len() as f64 * GROUP_HEIGHT
            + bars().count() as f64 * (BAR_HEIGHT + BAR_GAP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\" fill=\"{GREY}\">\n"
        );
        text(&mut svg, 8.0, 18.0, "start", &self.title);
        let mut y = TITLE_HEIGHT;
        for group in &self.groups {
            text(&mut svg, 8.0, y + 14.0, "start", group.label);
            y += GROUP_HEIGHT;
            for ((name, value), colour) in group.bars.iter().zip(COLOURS.iter().cycle()) {
                let (width, baseline) = (value.max(0.0) * scale, y + BAR_HEIGHT - 4.0);
                text(&mut svg, LEFT - 8.0, baseline, "end", name);
                writeln!(
                    svg,
                    "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{colour}\"/>"
                )
                .expect(INFALLIBLE);
                text(&mut svg, LEFT + width + 6.0, baseline, "start", &format!("{value:.2}"));
                y += BAR_HEIGHT + BAR_GAP;
            }
        }
        if let Some(mark) = self.mark {
            let x = mark.mul_add(scale, LEFT);
            writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{TITLE_HEIGHT}\" x2=\"{x:.1}\" y2=\"{height}\" stroke=\"{GREY}\" \
                 stroke-dasharray=\"4 3\"/>"
            )
            .expect(INFALLIBLE);
        }
        svg + "</svg>\n"
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
        .expect(INFALLIBLE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::summary::Faults;

    #[test]
    fn the_longest_bar_fills_the_scale_and_the_mark_is_on_it() {
        let bars = vec![("a<b".to_owned(), 2.0), ("c".to_owned(), 0.5)];
        let chart =
            Chart { title: "t".to_owned(), mark: Some(1.0), groups: vec![Group { label: "g", bars }] };
        let svg = chart.svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("width=\"470.0\"") && svg.contains("width=\"117.5\""), "{svg}");
        assert!(svg.contains("x1=\"425.0\""), "{svg}");
        assert!(svg.contains(">a&lt;b<"), "{svg}");
    }

    #[test]
    fn ratios_leave_the_limit_out_and_memory_does_not() {
        let figure = Some(Spread { median: 1.0, lowest: 1.0, highest: 1.0 });
        let row = |mode, server: &str, ratios, memory| Row {
            mode,
            server: server.to_owned(),
            ratios,
            memory,
            faults: Faults::default(),
            foreign_cpu: None,
        };
        let rows = [
            row(Mode::Echo, "limit", [figure; 5], [None; 4]),
            row(Mode::Echo, "other", [figure; 5], [None; 4]),
            row(Mode::Idle, "limit", [None; 5], [figure; 4]),
            row(Mode::Idle, "other", [None; 5], [figure; 4]),
        ];
        let count = |chart: Chart| chart.svg().matches("<rect ").count();
        assert_eq!(count(of_mode(Mode::Echo, &rows)), 5);
        assert_eq!(count(of_mode(Mode::Idle, &rows)), 8);
        assert_eq!(count(of_mode(Mode::Rooms, &rows)), 0);
    }
}
