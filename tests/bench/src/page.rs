//! The report as one HTML file that needs nothing else: tables, and plots as inline SVG.

use std::fmt::Write as _;

use crate::report::{Plot, Report, Section, mark};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1c1c1c;background:#fff}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.3rem .7rem .3rem 0;border-bottom:1px solid #ddd;vertical-align:top}th{font-weight:600}\
.yes{color:#0a6b2d;font-weight:700}.no{color:#b00020;font-weight:700}.note,.machine{color:#555}svg{margin:1rem 0;max-width:100%}\
svg text{font:12px system-ui,sans-serif;fill:#333}";
const COLOURS: [&str; 5] = ["#0b62a4", "#c4501b", "#2a7d3f", "#7b3fa0", "#8a6d00"];
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 40.0;
const TOP: f64 = 30.0;

/// The whole page.
pub(crate) fn html(report: &Report) -> String {
    let machine = &report.machine;
    let facts = format!(
        "{} · commit {} · {} build · {} × {}, {} GiB, {} · load {} at the start",
        machine.date, machine.commit, machine.profile, machine.cores, machine.processor, machine.memory_gib, machine.kernel, machine.load
    );
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>BanhBaoRing: measured</title><style>{STYLE}</style>\
         <h1>BanhBaoRing: measured</h1><p class=\"machine\">{}</p>",
        escaped(&facts)
    );
    for section in &report.sections {
        page.push_str(&one(section));
    }
    page.push_str("</html>\n");
    page
}

fn one(section: &Section) -> String {
    let mut text = format!("<h2>{}</h2>", escaped(&section.title));
    if !section.rows.is_empty() {
        text.push_str("<table><tr><th>what<th>measured<th>against<th>value<th>must reach<th></tr>");
        for row in &section.rows {
            let class = match row.met {
                Some(true) => "yes",
                Some(false) => "no",
                None => "",
            };
            let cells = [&row.what, &row.measured, &row.against, &row.value, &row.must].map(|cell| format!("<td>{}", escaped(cell)));
            let _ = write!(text, "<tr>{}<td class=\"{class}\">{}</tr>", cells.concat(), mark(row));
        }
        text.push_str("</table>");
    }
    for note in &section.notes {
        let _ = write!(text, "<p class=\"note\">{}</p>", escaped(note));
    }
    if let Some(failed) = &section.failed {
        let _ = write!(text, "<p class=\"no\">not measured: {}</p>", escaped(failed));
    }
    text.extend(section.plots.iter().map(svg));
    text
}

fn svg(plot: &Plot) -> String {
    let points = || plot.series.iter().flat_map(|series| series.points.iter().copied());
    let right = points().map(|point| point.0).fold(0.0, f64::max);
    let top = points().map(|point| point.1).fold(0.0, f64::max);
    if right <= 0.0 || top <= 0.0 {
        return String::new();
    }
    let (right, top) = (nice(right), nice(top));
    let x = |value: f64| LEFT + value / right * (WIDTH - LEFT - 20.0);
    let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP);
    let mut text = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" role=\"img\" aria-label=\"{0}\"><text x=\"{LEFT}\" y=\"14\">{0}: {1}</text>",
        escaped(&plot.title),
        escaped(&plot.up)
    );
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let _ = write!(
            text,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#e4e4e4\"/>\
             <text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text><text x=\"{5:.1}\" y=\"{6}\" text-anchor=\"middle\">{7}</text>",
            WIDTH - 20.0,
            y(top * share),
            LEFT - 6.0,
            y(top * share) + 4.0,
            short(top * share),
            x(right * share),
            HEIGHT - BOTTOM + 16.0,
            short(right * share),
        );
    }
    let _ = write!(text, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", WIDTH - 20.0, HEIGHT - 8.0, escaped(&plot.across));
    for ((series, colour), line) in plot.series.iter().zip(COLOURS.iter().cycle()).zip(0_u32..) {
        let path: Vec<String> = series.points.iter().map(|(across, up)| format!("{:.1},{:.1}", x(*across), y(*up))).collect();
        let _ = write!(
            text,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\
             <text x=\"{}\" y=\"{}\" style=\"fill:{colour}\">{}</text>",
            path.join(" "),
            LEFT + 14.0,
            TOP + 14.0 + f64::from(line) * 16.0,
            escaped(&series.name),
        );
    }
    text.push_str("</svg>");
    text
}

/// The next round number.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|nice| *nice >= value).unwrap_or(value)
}

fn short(value: f64) -> String {
    if value >= 10.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
