//! Pictures of what was measured, as SVG.

use std::collections::BTreeMap;
use std::path::Path;

use onward::{Error, Result};
use plotters::prelude::*;

use super::sample::Point;

const SIZE: (u32, u32) = (1000, 460);

/// A line of points.
type Line = Vec<(f64, f64)>;

/// Draws throughput and time-to-commit over the number of writers, or of entries.
pub fn draw(file: &Path, points: &[Point]) -> Result<()> {
    let by_entries = points.iter().any(|point| point.scenario == "grow");
    let x = |point: &Point| match by_entries {
        true => point.entries as f64,
        false => point.writers as f64,
    };
    let lines = |y: &dyn Fn(&Point) -> f64| {
        let mut lines: BTreeMap<&'static str, Line> = BTreeMap::new();
        for point in points {
            lines.entry(point.strategy).or_default().push((x(point).max(1.0), y(point).max(0.001)));
        }
        lines
    };
    let across = if by_entries { "entries on the branch" } else { "writers" };
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    let failed = |error: &dyn std::fmt::Display| {
        Error::unavailable(format!("'{}' cannot be drawn: {error}", file.display()))
    };
    root.fill(&WHITE).map_err(|e| failed(&e))?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    chart(&left, "commits in a second", across, &lines(&Point::per_second))
        .map_err(|e| failed(&e))?;
    let p99 = |point: &Point| point.sample.latencies.corrected().quantile_ms(0.99);
    chart(&right, "time to commit, p99 (ms)", across, &lines(&p99)).map_err(|e| failed(&e))?;
    root.present().map_err(|e| failed(&e))
}

fn chart<DB: DrawingBackend>(
    area: &DrawingArea<DB, plotters::coord::Shift>,
    title: &str,
    across: &str,
    lines: &BTreeMap<&'static str, Line>,
) -> std::result::Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    let all = || lines.values().flatten();
    let max = |value: fn(&(f64, f64)) -> f64| all().map(value).fold(1.0, f64::max);
    let min = |value: fn(&(f64, f64)) -> f64| all().map(value).fold(f64::MAX, f64::min);
    let (x_max, y_max, y_min) = (max(|p| p.0), max(|p| p.1), min(|p| p.1));
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(38)
        .y_label_area_size(64)
        .build_cartesian_2d(
            (1.0..x_max.max(2.0)).log_scale(),
            ((y_min / 2.0)..(y_max * 2.0)).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc(across)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| if *y < 10.0 { format!("{y:.1}") } else { format!("{y:.0}") })
        .light_line_style(WHITE)
        .draw()?;
    for (number, (name, line)) in lines.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        chart
            .draw_series(LineSeries::new(line.iter().copied(), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(line.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()
}
