//! The picture beside a page of history: the lanes of each row as SVG, without script or style of its own.

use maud::{Markup, html};

use super::lanes::Row;

/// Lanes that are drawn apart; those behind them are drawn as one.
const DRAWN_MAX: usize = 12;

/// Width of a lane, in CSS pixels.
const LANE: usize = 14;

/// Height of a row in the coordinates of the picture, which is stretched to that of its text.
const HEIGHT: usize = 100;

/// How many lanes a picture of these rows has.
pub fn width_of(rows: &[Row]) -> usize {
    rows.iter().map(Row::width).max().unwrap_or(1).clamp(1, DRAWN_MAX)
}

/// The picture of one row, so many lanes wide. What it shows is told in words beside it.
pub fn picture(row: &Row, lanes: usize) -> Markup {
    let (width, middle) = (lanes * LANE, HEIGHT / 2);
    let (quarter, low) = (HEIGHT / 4, HEIGHT - HEIGHT / 4);
    let node = x(row.node);
    html! {
        svg.lanes width=(width) viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" aria-hidden="true" focusable="false" {
            @for lane in &row.passing {
                (line(*lane, format!("M{0} 0V{HEIGHT}", x(*lane))))
            }
            @for lane in &row.ending {
                (line(*lane, format!("M{0} 0C{0} {quarter} {node} {quarter} {node} {middle}", x(*lane))))
            }
            @for lane in &row.beginning {
                (line(*lane, format!("M{node} {middle}C{node} {low} {0} {low} {0} {HEIGHT}", x(*lane))))
            }
            // A line without length: its round ends are the dot, whatever the row is stretched to.
            path.(format!("lane lane-{} dot", colour(row.node))) vector-effect="non-scaling-stroke" d=(format!("M{node} {middle}h0.01")) {}
        }
    }
}

fn line(lane: usize, way: String) -> Markup {
    html! {
        path.(format!("lane lane-{}", colour(lane))) vector-effect="non-scaling-stroke" d=(way) {}
    }
}

/// The middle of a lane.
fn x(lane: usize) -> usize {
    lane.min(DRAWN_MAX - 1) * LANE + LANE / 2
}

/// One of the colours of the style sheet.
fn colour(lane: usize) -> usize {
    lane.min(DRAWN_MAX - 1) % 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_dot_and_a_line_for_each_lane_and_no_style_of_its_own() {
        let row = Row { node: 1, ending: vec![1, 40], beginning: vec![1], passing: vec![0] };
        let lanes = width_of(std::slice::from_ref(&row));
        assert_eq!(lanes, DRAWN_MAX);
        let svg = picture(&row, lanes).into_string();
        assert_eq!(svg.matches("<path").count(), 5, "{svg}");
        assert!(!svg.contains("style="), "{svg}");
        assert!(svg.contains("viewBox=\"0 0 168 100\""), "{svg}");
    }
}
