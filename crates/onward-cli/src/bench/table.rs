//! Rows for people, under a header, within the 80 columns of a terminal.

/// One field of a row.
#[derive(Debug)]
pub struct Cell {
    heading: &'static str,
    width: usize,
    /// Words begin at the left, numbers end at the right.
    is_words: bool,
    text: String,
}

impl Cell {
    /// Words.
    pub fn words(heading: &'static str, width: usize, text: impl Into<String>) -> Self {
        Self { heading, width, is_words: true, text: text.into() }
    }

    /// A number, as it is to be shown.
    pub fn number(heading: &'static str, width: usize, text: impl ToString) -> Self {
        Self { heading, width, is_words: false, text: text.to_string() }
    }

    /// Milliseconds: hundredths below 100, where they matter.
    pub fn ms(heading: &'static str, ms: f64) -> Self {
        Self::number(heading, 6, if ms < 100.0 { format!("{ms:.2}") } else { format!("{ms:.0}") })
    }

    fn padded(&self, text: &str) -> String {
        let width = self.width.max(self.heading.len());
        if self.is_words { format!("{text:<width$}") } else { format!("{text:>width$}") }
    }
}

/// What stands above rows like this one.
pub fn header(row: &[Cell]) -> String {
    joined(row, |cell| cell.heading)
}

/// The row.
pub fn line(row: &[Cell]) -> String {
    joined(row, |cell| &cell.text)
}

fn joined<'a>(row: &'a [Cell], of: impl Fn(&'a Cell) -> &'a str) -> String {
    let cells: Vec<String> = row.iter().map(|cell| cell.padded(of(cell))).collect();
    cells.join(" ").trim_end().to_owned()
}
