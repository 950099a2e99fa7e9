//! The report: a table for the terminal and for `docs/performance.md`, and a plot.

use crate::{
    figure::{Figure, Sample, Summary, Verdict},
    server::Kind,
};
use plotters::prelude::*;
use std::{collections::BTreeSet, error::Error, fmt::Write as _, fs, io, path::Path};

/// What stands around the part of the page that is written anew.
const BEGIN: &str = "<!-- measured -->";
const END: &str = "<!-- /measured -->";

const KINDS: [Kind; 4] = [Kind::Rollcall, Kind::Socketioxide, Kind::Node, Kind::Floor];

/// All figures, one line for each and each number of clients.
pub fn table(samples: &[Sample]) -> String {
    let summary = Summary(samples);
    let rows: BTreeSet<_> = samples
        .iter()
        .map(|sample| (sample.figure, sample.clients))
        .collect();
    let mut table = String::from(
        "| figure | clients | Rollcall | socketioxide | Node socket.io | raw send loop |\n|---|---|---|---|---|---|\n",
    );
    for (figure, clients) in rows {
        let clients_shown = if clients > 0 {
            clients.to_string()
        } else {
            String::new()
        };
        let _ = write!(table, "| {figure} | {clients_shown} |");
        for kind in KINDS {
            let cell = summary
                .of(kind, figure, clients)
                .map_or(String::new(), |spread| {
                    let [median, least, most] =
                        [spread.median, spread.least, spread.most].map(|value| figure.show(value));
                    if least == most {
                        median
                    } else {
                        format!(
                            "{median} ({} to {most})",
                            least.trim_end_matches(|c: char| !c.is_ascii_digit()).trim()
                        )
                    }
                });
            let _ = write!(table, " {cell} |");
        }
        table.push('\n');
    }
    table
}

/// What is promised, and what came of it.
pub fn promises(verdicts: &[Verdict]) -> String {
    let mut table = String::from("| target | measured | |\n|---|---|---|\n");
    for Verdict {
        promise,
        found,
        is_met,
    } in verdicts
    {
        let word = if *is_met { "met" } else { "**missed**" };
        let _ = writeln!(table, "| {promise} | {found} | {word} |");
    }
    table
}

/// Puts `measured` into the page, where the last such part stands.
pub fn write_page(page: &Path, measured: &str) -> io::Result<()> {
    let text = fs::read_to_string(page)?;
    let parts = text
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts
        .ok_or_else(|| io::Error::other(format!("{} lacks {BEGIN} and {END}", page.display())))?;
    fs::write(page, format!("{before}{BEGIN}\n{measured}{END}{after}"))
}

/// The figures that grow with the number of clients, each in a panel of its own.
pub fn plot(samples: &[Sample], path: &Path) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(path, (1000, 720)).into_drawing_area();
    root.fill(&WHITE)?;
    let panels = [
        (Figure::IdleClient, "RSS an idle client, KiB", 1024.0),
        (Figure::Paced, "CPU a delivery, paced, us", 1.0),
        (Figure::Burst, "CPU a known activity, burst of 50, us", 1.0),
        (
            Figure::AllKnow99,
            "until all know, burst of 50, p99, ms",
            1.0,
        ),
    ];
    for ((figure, title, unit), area) in panels.into_iter().zip(root.split_evenly((2, 2))) {
        let of_figure = samples.iter().filter(|sample| sample.figure == figure);
        let clients: BTreeSet<_> = of_figure.map(|sample| sample.clients).collect();
        let points = |kind| -> Vec<(f64, f64)> {
            let median = |clients: &usize| {
                Some((
                    *clients as f64,
                    Summary(samples).of(kind, figure, *clients)?.median / unit,
                ))
            };
            clients.iter().filter_map(median).collect()
        };
        let all: Vec<_> = KINDS.iter().flat_map(|kind| points(*kind)).collect();
        let (Some(least), Some(most)) = (
            all.iter().map(|(_, value)| *value).min_by(f64::total_cmp),
            all.iter().map(|(_, value)| *value).max_by(f64::total_cmp),
        ) else {
            continue;
        };
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(56)
            .build_cartesian_2d(
                0f64..*clients.last().unwrap_or(&1) as f64 * 1.02,
                (least / 1.5..most * 1.5).log_scale(),
            )?;
        chart
            .configure_mesh()
            .x_desc("clients")
            .light_line_style(TRANSPARENT)
            .x_label_formatter(&|value| format!("{value:.0}"))
            .y_label_formatter(&|value| {
                if *value < 1.0 {
                    format!("{value:.1}")
                } else {
                    format!("{value:.0}")
                }
            })
            .draw()?;
        for (kind, colour) in KINDS.into_iter().zip([
            RGBColor(20, 90, 200),
            RGBColor(200, 90, 20),
            RGBColor(40, 140, 60),
            RGBColor(120, 120, 120),
        ]) {
            let points = points(kind);
            if points.is_empty() {
                continue;
            }
            chart
                .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
                .label(kind.to_string())
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
                });
            chart.draw_series(
                points
                    .into_iter()
                    .map(|point| Circle::new(point, 3, colour.filled())),
            )?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(200, 200, 200))
            .draw()?;
    }
    root.present()?;
    Ok(())
}
