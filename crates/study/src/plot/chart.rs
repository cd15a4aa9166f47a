//! A line chart as SVG. Colours follow the reader's light or dark setting; nothing depends on colour alone, as every
//! curve is dashed in its own way and named in the legend.

use std::fmt::Write as _;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 44.0;

/// Curves in the order of their colours (Okabe and Ito, told apart with any colour vision).
const STYLE: &str = "svg{background:#fff;color:#1a1a1a;font:13px system-ui,sans-serif}\
    text{fill:currentColor}.title{font-size:15px;font-weight:600}.note{opacity:.7}\
    .grid{stroke:currentColor;opacity:.15}.axis{stroke:currentColor;opacity:.6}.curve{fill:none;stroke-width:1.8}\
    .c0{stroke:#0072b2}.c1{stroke:#d55e00}.c2{stroke:#009e73}.c3{stroke:#cc79a7}.c4{stroke:#e69f00}.c5{stroke:#56b4e9}\
    @media (prefers-color-scheme:dark){svg{background:#14181d;color:#e8e8e8}.c0{stroke:#56b4e9}.c1{stroke:#ff8c42}\
    .c2{stroke:#3ddc97}.c5{stroke:#9ad1ff}}";
const DASHES: [&str; 6] = ["", "6 3", "2 3", "", "6 3", "2 3"];

/// One line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What it is called.
    pub name: String,
    /// Points by x; what is not finite leaves a gap.
    pub points: Vec<(f64, f64)>,
}

/// A chart: what stands at its axes and what is drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// In English and Chinese.
    pub title: String,
    /// A line below it, such as where the figures come from.
    pub note: String,
    /// The horizontal axis with its unit.
    pub x_label: String,
    /// The vertical axis with its unit.
    pub y_label: String,
    /// The top of the vertical axis; the largest value when absent.
    pub y_max: Option<f64>,
    /// At most six.
    pub curves: Vec<Curve>,
}

impl Chart {
    /// The chart as a whole SVG document.
    pub fn svg(&self) -> String {
        let finite =
            || self.curves.iter().flat_map(|curve| &curve.points).filter(|(x, y)| x.is_finite() && y.is_finite());
        let x_max = finite().map(|point| point.0).fold(0.0, f64::max).max(1e-9);
        let y_top = self.y_max.unwrap_or_else(|| round_up(finite().map(|point| point.1).fold(0.0, f64::max)));
        let x_of = |x: f64| LEFT + x / x_max * (WIDTH - LEFT - RIGHT);
        let y_of = |y: f64| HEIGHT - BOTTOM - (y / y_top).clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\
             <title>{title}</title><style>{STYLE}</style>\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"20\">{title}</text>\
             <text class=\"note\" x=\"{LEFT}\" y=\"38\">{note}</text>\n",
            title = escaped(&self.title),
            note = escaped(&self.note),
        );
        self.axes(&mut svg, x_max, y_top, &x_of, &y_of);
        for (number, curve) in self.curves.iter().take(DASHES.len()).enumerate() {
            let path = path(&curve.points, &x_of, &y_of);
            let style = format!("class=\"curve c{number}\" stroke-dasharray=\"{}\"", DASHES[number]);
            // Writing to a string cannot fail.
            let _ = writeln!(svg, "<path {style} d=\"{path}\"/>");
            let x = LEFT + 150.0 * number as f64;
            let _ = writeln!(
                svg,
                "<path {style} d=\"M{x} 52h24\"/><text x=\"{}\" y=\"56\">{}</text>",
                x + 30.0,
                escaped(&curve.name)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn axes(&self, svg: &mut String, x_max: f64, y_top: f64, x_of: &impl Fn(f64) -> f64, y_of: &impl Fn(f64) -> f64) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for part in 0..=4 {
            let value = y_top * f64::from(part) / 4.0;
            let y = y_of(value);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                figure(value)
            );
        }
        let step = round_up(x_max / 8.0);
        let mut x = 0.0;
        while x <= x_max * 1.000_001 {
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 16.0,
                figure(x),
                at = x_of(x)
            );
            x += step;
        }
        let middle = (TOP + bottom) / 2.0;
        let _ = writeln!(
            svg,
            "<path class=\"axis\" fill=\"none\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text x=\"16\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {middle:.1})\">{}</text>",
            (LEFT + right) / 2.0,
            HEIGHT - 8.0,
            escaped(&self.x_label),
            escaped(&self.y_label)
        );
    }
}

fn path(points: &[(f64, f64)], x_of: &impl Fn(f64) -> f64, y_of: &impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut pen_down = false;
    for &(x, y) in points {
        if !(x.is_finite() && y.is_finite()) {
            pen_down = false;
            continue;
        }
        let _ = write!(path, "{}{:.1} {:.1}", if pen_down { 'L' } else { 'M' }, x_of(x), y_of(y));
        pen_down = true;
    }
    path
}

/// The next of 1, 2, 2.5, 5 and 10 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let round = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|round| round * power >= value * 0.999_999);
    round.unwrap_or(10.0) * power
}

fn figure(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{} M", trimmed(value / 1e6)),
        _ if value >= 1e4 => format!("{} k", trimmed(value / 1e3)),
        _ => trimmed(value),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        Chart {
            title: "a < b & \"c\"".into(),
            note: "MODELLED".into(),
            x_label: "time (h)".into(),
            y_label: "jobs".into(),
            y_max: None,
            curves: vec![Curve { name: "ai".into(), points }],
        }
    }

    #[test]
    fn a_chart_has_title_axes_and_curve() {
        let svg = chart(vec![(0.0, 0.0), (1.0, f64::NAN), (2.0, 30.0), (4.0, 15.0)]).svg();
        for part in ["a &lt; b &amp; &quot;c&quot;", "time (h)", ">jobs<", "MODELLED", ">50<", "M72.0 276.0M508.0"] {
            assert!(svg.contains(part), "no {part} in {svg}");
        }
    }

    #[test]
    fn nothing_to_draw_is_drawn_too() {
        for points in [Vec::new(), vec![(0.0, 0.0)], vec![(f64::NAN, f64::INFINITY)]] {
            let svg = chart(points).svg();
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn axes_end_at_round_figures() {
        for (value, round) in [(0.0, 1.0), (0.7, 1.0), (1.1, 2.0), (2.2, 2.5), (26.0, 50.0), (99.0, 100.0), (1e6, 1e6)]
        {
            assert!((round_up(value) - round).abs() < 1e-9, "{value}: {}", round_up(value));
        }
        assert_eq!([figure(0.25), figure(12_500.0), figure(2_500_000.0)], ["0.25", "12.5 k", "2.5 M"]);
    }
}
