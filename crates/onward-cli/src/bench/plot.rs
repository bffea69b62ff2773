//! Pictures of what was measured, as SVG.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use onward::{Error, Result};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// Width and height of one chart.
const SIZE: (u32, u32) = (560, 460);

/// What is smaller is drawn as this: nothing has no place on a logarithmic axis.
const SMALLEST: f64 = 0.1;

/// The colour of each strategy, in whatever picture: such as people who see few colours can tell apart,
/// by M. Okabe and K. Ito.
const COLOURS: [(&str, RGBColor); 5] = [
    ("onward", RGBColor(0, 114, 178)),
    ("optimistic", RGBColor(213, 94, 0)),
    ("bag", RGBColor(230, 159, 0)),
    ("lock", RGBColor(0, 158, 115)),
    ("floor", RGBColor(120, 120, 120)),
];

/// Powers of ten on an axis from which on the steps between them are left out.
const DECADES_MANY: f64 = 3.5;

fn colour(line: &str) -> RGBColor {
    let found = COLOURS.iter().find(|(name, _)| *name == line);
    found.map_or(BLACK, |(_, colour)| *colour)
}

/// A number on an axis: 200, 5k, 10M.
fn short(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.0}M", n / 1e6),
        n if n >= 1e4 => format!("{:.0}k", n / 1e3),
        n if n >= 1.0 => format!("{n:.0}"),
        n => format!("{n:.1}"),
    }
}

/// Where a logarithmic axis is marked: at 1, 2 and 5 of each power of ten, or at the powers alone where
/// there are many.
fn marks(range: &Range<f64>) -> Vec<f64> {
    let decades = (range.end / range.start).log10();
    let steps: &[f64] = if decades > DECADES_MANY { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let (first, last) = (range.start.log10().floor() as i32, range.end.log10().ceil() as i32);
    let all =
        (first..=last).flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
    all.filter(|mark| range.contains(mark)).collect()
}

/// Lines over one quantity.
#[derive(Debug)]
pub struct Chart {
    title: String,
    across: &'static str,
    /// Whether the horizontal axis is logarithmic.
    doubling: bool,
    /// A stretch of the horizontal axis that is shaded.
    shaded: Option<Range<f64>>,
    lines: BTreeMap<String, Vec<(f64, f64)>>,
}

impl Chart {
    /// Of something that grows by factors, such as a number of writers.
    pub fn growing(title: impl Into<String>, across: &'static str) -> Self {
        let lines = BTreeMap::new();
        Self { title: title.into(), across, doubling: true, shaded: None, lines }
    }

    /// Of something over time, in seconds; `shaded` is when something was the matter.
    pub fn over_time(title: impl Into<String>, shaded: Range<f64>) -> Self {
        Self { doubling: false, shaded: Some(shaded), ..Self::growing(title, "seconds") }
    }

    /// Adds a point to a line.
    pub fn add(&mut self, line: &str, x: f64, y: f64) {
        let point = (if self.doubling { x.max(1.0) } else { x }, y.max(SMALLEST));
        self.lines.entry(line.to_owned()).or_default().push(point);
    }

    /// Where on the horizontal axis something was measured.
    fn measured(&self) -> Vec<f64> {
        let mut all: Vec<f64> = self.lines.values().flatten().map(|point| point.0).collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    }

    /// The values that lie on the lines.
    fn range(&self, of: fn(&(f64, f64)) -> f64) -> Range<f64> {
        let all = || self.lines.values().flatten().map(of);
        all().fold(f64::MAX, f64::min)..all().fold(1.0, f64::max)
    }
}

/// Draws charts beside each other.
pub fn draw(file: &Path, charts: &[Chart]) -> Result<()> {
    let count = u32::try_from(charts.len()).unwrap_or(1).max(1);
    let root = SVGBackend::new(file, (SIZE.0 * count, SIZE.1)).into_drawing_area();
    let failed = |error: &dyn std::fmt::Display| {
        Error::unavailable(format!("'{}' cannot be drawn: {error}", file.display()))
    };
    root.fill(&WHITE).map_err(|e| failed(&e))?;
    let areas = root.split_evenly((1, charts.len().max(1)));
    for (area, chart) in areas.iter().zip(charts) {
        chart.draw(area).map_err(|e| failed(&e))?;
    }
    root.present().map_err(|e| failed(&e))
}

type Drawn<DB> = std::result::Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

impl Chart {
    fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> Drawn<DB> {
        let end = self.range(|point| point.0).end.max(2.0);
        match self.doubling {
            true => self.draw_over(area, (1.0..end).log_scale().with_key_points(self.measured())),
            false => self.draw_over(area, 0.0..end),
        }
    }

    fn draw_over<DB, X>(&self, area: &DrawingArea<DB, Shift>, x: X) -> Drawn<DB>
    where
        DB: DrawingBackend,
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
    {
        let y = self.range(|point| point.1);
        let y = (y.start / 2.0)..(y.end * 2.0);
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(38)
            .y_label_area_size(64)
            .build_cartesian_2d(x, y.clone().log_scale().with_key_points(marks(&y)))?;
        chart
            .configure_mesh()
            .x_desc(self.across)
            .x_label_formatter(&|x| short(*x))
            .y_label_formatter(&|y| short(*y))
            .label_style(("sans-serif", 13))
            .light_line_style(WHITE)
            .draw()?;
        if let Some(shaded) = &self.shaded {
            let corners = [(shaded.start, y.start), (shaded.end, y.end)];
            chart.draw_series([Rectangle::new(corners, BLACK.mix(0.08).filled())])?;
        }
        for (name, line) in &self.lines {
            let colour = colour(name);
            chart
                .draw_series(LineSeries::new(line.iter().copied(), colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2))
                });
            if self.doubling {
                let dots = line.iter().map(|point| Circle::new(*point, 3, colour.filled()));
                chart.draw_series(dots)?;
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::super::rig::Strategy;
    use super::*;

    #[test]
    fn every_strategy_has_a_colour_of_its_own() {
        let colours: Vec<RGBColor> =
            Strategy::value_variants().iter().map(|strategy| colour(strategy.name())).collect();
        for (n, colour) in colours.iter().enumerate() {
            assert_ne!(*colour, BLACK);
            assert!(!colours[..n].contains(colour));
        }
    }

    #[test]
    fn an_axis_is_marked_where_it_can_be_read() {
        assert_eq!(marks(&(0.8..60.0)), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(marks(&(0.5..20_000.0)), [1.0, 10.0, 100.0, 1_000.0, 10_000.0]);
        assert_eq!(
            [0.5, 2.0, 5_000.0, 20_000.0, 1e7].map(short),
            ["0.5", "2", "5000", "20k", "10M"]
        );
    }
}
