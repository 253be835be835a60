//! How does the time grow with the number of logs? Written as plots.

use std::path::Path;
use std::time::Duration;

use chrono::TimeDelta;
use duckdb::Connection;
use logstore::{LogQuery, LogStore as _, StoreExt as _};
use plotters::prelude::*;

use crate::data::{self, Form};
use crate::report::{Report, timed};
use crate::stores::{exclusive, ingest};
use crate::{Scale, engine};

/// The time of each number of rows, with logstore and with the engine alone.
struct Question {
    name: &'static str,
    file: &'static str,
    times: Vec<(usize, Duration, Duration)>,
}

pub(crate) fn measure(scale: &Scale, report: &mut Report) {
    let named = [
        ("ingest NDJSON", "ingest.svg"),
        ("fetch the last minute", "recent.svg"),
        ("count by source_ip", "count.svg"),
    ];
    let mut questions = named.map(|(name, file)| Question {
        name,
        file,
        times: Vec::new(),
    });
    for part in [1, 2, 5, 10, 20, 50, 100, 200] {
        let rows = part * scale.large / 200;
        for (question, (ours, theirs)) in questions.iter_mut().zip(times(scale, rows)) {
            question.times.push((rows, ours, theirs));
            let texts = [ours, theirs].map(|time| format!("{time:.2?}"));
            let ratio = crate::report::ratio(ours, theirs);
            let work = format!("{}, {rows} rows", question.name);
            report.unmarked(&work, "the engine alone", &texts[0], &texts[1], ratio);
        }
    }
    for question in &questions {
        let file = scale.plots.join(question.file);
        question.draw(&file).expect("a plot is drawn");
        eprintln!("wrote {}", file.display());
    }
}

fn times(scale: &Scale, rows: usize) -> [(Duration, Duration); 3] {
    let file = scale.lines(0..rows, Form::Json);
    let (ours, theirs) = (
        scale.new_file("plot.duckdb"),
        scale.new_file("plot-engine.duckdb"),
    );
    let ingested = (
        timed(|| ingest(&ours, &file)).0,
        timed(|| engine::insert_json(&theirs, &file)).0,
    );
    std::fs::remove_file(file).expect("a file is removed");
    let store = exclusive(&ours);
    let engine = Connection::open(&theirs).expect("an engine");
    let since = data::time(rows) - TimeDelta::minutes(1);
    let sql = format!(
        "SELECT * FROM logs WHERE event_time >= '{}' ORDER BY event_time DESC",
        since.naive_utc()
    );
    let recent = (
        timed(|| store.fetch_logs(&LogQuery::new().since(since)).expect("logs")).0,
        timed(|| engine::arrow_rows(&engine, &sql)).0,
    );
    let fields = ["source_ip".parse().expect("a field")];
    let sql = "SELECT source_ip, count(*) AS n FROM logs GROUP BY source_ip ORDER BY n DESC, source_ip";
    let counted = (
        timed(|| store.count_logs_by(&LogQuery::new(), &fields).expect("groups")).0,
        timed(|| engine::answer(&engine, sql)).0,
    );
    [ingested, recent, counted]
}

impl Question {
    fn draw(&self, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let points = |of: fn(&(usize, Duration, Duration)) -> Duration| -> Vec<(f64, f64)> {
            let point = |time: &(usize, Duration, Duration)| (rows(time.0), of(time).as_secs_f64());
            self.times.iter().map(point).collect()
        };
        let lines = [
            ("logstore", BLUE, points(|time| time.1)),
            ("engine alone", RED, points(|time| time.2)),
        ];
        let seconds = lines
            .iter()
            .flat_map(|(.., points)| points)
            .map(|(_, seconds)| *seconds);
        let (least, most) = seconds.fold((f64::MAX, 0.0_f64), |(least, most), time| {
            (least.min(time), most.max(time))
        });
        let (first, last) = (self.times[0].0, self.times[self.times.len() - 1].0);
        let root = SVGBackend::new(file, (640, 400)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(self.name, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d(
                (rows(first)..rows(last)).log_scale(),
                (least / 1.5..most * 1.5).log_scale(),
            )?;
        chart
            .configure_mesh()
            .x_desc("rows")
            .y_desc("seconds")
            .x_label_formatter(&|rows| format!("{rows:.0}"))
            .y_label_formatter(&|seconds| format!("{seconds:.3}"))
            .draw()?;
        for (name, colour, points) in lines {
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(3))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .border_style(BLACK)
            .draw()?;
        root.present()?;
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "an axis")]
fn rows(rows: usize) -> f64 {
    rows as f64
}
