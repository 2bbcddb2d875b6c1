//! Points drawn over time: a line for each scale, from the last hour to all of it.

use jiff::tz::TimeZone;
use lifeboat::Time;

/// The widest line; more would be harder to read, not easier.
const MAX_WIDTH: usize = 120;
/// Blanks before each line, and between its label and its cells.
const MARGINS: usize = 4;
const SCALES: [(&str, i64); 3] =
    [("last hour", 3_600_000), ("last day", 86_400_000), ("last week", 7 * 86_400_000)];

/// What cells are drawn with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    none: char,
    /// From few points to many.
    density: &'static [char],
    kept: char,
}

impl Marks {
    pub(crate) const UNICODE: Self =
        Self {
            none: '·', density: &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'], kept: '◆'
        };
    pub(crate) const ASCII: Self = Self { none: '.', density: &['-', '=', '#'], kept: 'O' };

    fn of(self, cell: Cell, most: usize) -> char {
        match cell {
            Cell { kept: true, .. } => self.kept,
            Cell { count: 0, .. } => self.none,
            Cell { count, .. } => self.density[level(count, most, self.density.len())],
        }
    }

    fn legend(self) -> String {
        let Self { none, density, kept } = self;
        let (few, many) = (density[0], density[density.len() - 1]);
        format!("{none} none  {few} few  {many} many  {kept} kept by a backup")
    }
}

/// On a logarithmic scale, because points thin out with their age.
fn level(count: usize, most: usize, levels: usize) -> usize {
    let digits = |number: usize| (usize::BITS - number.leading_zeros()) as usize;
    (digits(count) * levels).div_ceil(digits(most).max(1)).clamp(1, levels) - 1
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    count: usize,
    kept: bool,
}

/// Points to draw.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// Milliseconds since 1970, and whether a backup keeps the point.
    points: Vec<(i64, bool)>,
}

impl Timeline {
    pub(crate) fn add(&mut self, time: Time, kept: bool) {
        self.points.push((time.millis(), kept));
    }

    /// Lines of at most `width` characters, the newest points at their right end. A longer scale that
    /// shows no more points than the one before it is left out.
    pub(crate) fn draw(
        &self,
        now: Time,
        width: usize,
        marks: Marks,
        zone: &TimeZone,
    ) -> Vec<String> {
        let times = || self.points.iter().map(|(millis, _)| *millis);
        let Some((oldest, newest)) = times().min().zip(times().max()) else { return Vec::new() };
        // A clock that goes wrong may have put points into the future.
        let end = now.millis().max(newest);
        let day = Time::from_millis(oldest).timestamp().to_zoned(zone.clone());
        let since = format!("since {}", day.strftime("%Y-%m-%d"));
        let mut scales: Vec<(&str, i64)> =
            SCALES.iter().map(|(label, length)| (*label, end - length)).collect();
        scales.push((&since, oldest));
        let label_width = since.len();
        let line = |label: &str, text: &str| format!("  {label:label_width$}  {text}");
        let cells = width.min(MAX_WIDTH).saturating_sub(MARGINS + label_width).max(1);
        let (mut lines, mut shown) = (Vec::new(), 0);
        for (label, begin) in scales {
            let count = times().filter(|time| *time >= begin).count();
            if count > shown {
                lines.push(line(label, &self.bar(begin, end, cells, marks)));
                shown = count;
            }
        }
        lines.push(format!("  {}", marks.legend()));
        lines
    }

    fn bar(&self, begin: i64, end: i64, cells: usize, marks: Marks) -> String {
        let mut drawn = vec![Cell::default(); cells];
        let length = u128::from(end.abs_diff(begin)) + 1;
        for (time, kept) in self.points.iter().filter(|(time, _)| *time >= begin) {
            let at = u128::from(time.abs_diff(begin)) * cells as u128 / length;
            let cell = &mut drawn[usize::try_from(at).unwrap_or(0).min(cells - 1)];
            cell.count += 1;
            cell.kept |= kept;
        }
        let most = drawn.iter().map(|cell| cell.count).max().unwrap_or(0);
        drawn.into_iter().map(|cell| marks.of(cell, most)).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use lifeboat::Time;

    use super::{Marks, Timeline, level};

    #[test]
    fn density_grows_with_the_count() {
        for (count, most, levels, expected) in [
            (1, 1, 8, 7),
            (1, 2, 8, 3),
            (1, 1000, 8, 0),
            (1000, 1000, 8, 7),
            (30, 1000, 8, 3),
            (1, 255, 8, 0),
            (1, 7, 3, 0),
            (7, 7, 3, 2),
        ] {
            assert_eq!(level(count, most, levels), expected, "{count} of {most}");
        }
    }

    #[test]
    fn scales_that_add_nothing_are_left_out() {
        let labels = |seconds_ago: &[i64]| {
            let now = Time::from_millis(1_795_271_405_123);
            let mut timeline = Timeline::default();
            for ago in seconds_ago {
                timeline.add(Time::from_millis(now.millis() - ago * 1000), false);
            }
            let lines = timeline.draw(now, 40, Marks::ASCII, &TimeZone::UTC);
            let labels = lines.iter().take(lines.len().saturating_sub(1));
            labels.map(|line| line[2..18].trim().to_owned()).collect::<Vec<_>>().join(", ")
        };
        for (seconds_ago, expected) in [
            (&[][..], ""),
            (&[0], "last hour"),
            (&[5, 3600], "last hour"),
            (&[5, 3601], "last hour, last day"),
            (&[5, 7 * 86_400], "last hour, last week"),
            (&[100 * 86_400], "since 2026-08-13"),
            (&[1, 100 * 86_400], "last hour, since 2026-08-13"),
            // In the future.
            (&[-30, 5], "last hour"),
        ] {
            assert_eq!(labels(seconds_ago), expected, "{seconds_ago:?}");
        }
    }
}
