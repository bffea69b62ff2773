//! Histograms of what this process has measured, read from the text that `/metrics` shows.

/// How often something was how large, at most.
#[derive(Debug, Default, PartialEq)]
pub struct Histogram {
    count: f64,
    sum: f64,
    /// How many were at most so large, by that, the smallest first.
    buckets: Vec<(f64, f64)>,
}

impl Histogram {
    /// The histogram of this name, of all its labels together. One of which there is nothing is empty.
    pub fn of(text: &str, name: &str) -> Self {
        let mut histogram = Self::default();
        for line in text.lines() {
            let Some(rest) = line.strip_prefix(name) else { continue };
            let Some(value) = rest.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok())
            else {
                continue;
            };
            if rest.starts_with("_sum") {
                histogram.sum += value;
            } else if rest.starts_with("_count") {
                histogram.count += value;
            } else if rest.starts_with("_bucket")
                && let Some(most) = most(rest)
            {
                histogram.add(most, value);
            }
        }
        histogram.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        histogram
    }

    fn add(&mut self, most: f64, value: f64) {
        match self.buckets.iter_mut().find(|(known, _)| *known == most) {
            Some((_, count)) => *count += value,
            None => self.buckets.push((most, value)),
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count as u64
    }

    /// The mean; `None` of none.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    /// What so large a part of them, from 0 to 1, did not go beyond, as far as the buckets tell: infinite
    /// where it is beyond the last one.
    pub fn within(&self, part: f64) -> Option<f64> {
        let wanted = self.count * part;
        let found = self.buckets.iter().find(|(_, count)| *count >= wanted);
        found.filter(|_| self.count > 0.0).map(|(most, _)| *most)
    }
}

/// What the label `le` of a bucket says.
fn most(labels: &str) -> Option<f64> {
    let (_, behind) = labels.split_once("le=\"")?;
    match behind.split('"').next()? {
        "+Inf" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_that_of_all_its_labels() {
        let text = "# HELP took x\n# TYPE took histogram\n\
            took_bucket{outcome=\"a\",le=\"1\"} 2\ntook_bucket{outcome=\"a\",le=\"4\"} 3\n\
            took_bucket{outcome=\"a\",le=\"+Inf\"} 3\ntook_sum{outcome=\"a\"} 5\ntook_count{outcome=\"a\"} 3\n\
            took_bucket{outcome=\"b\",le=\"1\"} 0\ntook_bucket{outcome=\"b\",le=\"4\"} 0\n\
            took_bucket{outcome=\"b\",le=\"+Inf\"} 1\ntook_sum{outcome=\"b\"} 11\ntook_count{outcome=\"b\"} 1\n\
            took_else_count 9\n";
        let took = Histogram::of(text, "took");
        assert_eq!((took.count(), took.mean()), (4, Some(4.0)));
        assert_eq!(took.within(0.5), Some(1.0));
        assert_eq!(took.within(0.75), Some(4.0));
        assert_eq!(took.within(0.99), Some(f64::INFINITY));
        let none = Histogram::of(text, "other");
        assert_eq!((none.count(), none.mean(), none.within(0.5)), (0, None, None));
    }
}
