//! How examples draw: axes, lines, dots, bands and bars, rasters of cells, and keys that stand beside the plots.
//!
//! Plotters puts everything on whole pixels, which makes steps of lines. So pictures are drawn [`FINE`] times as large as they are shown.
//! All sizes here are in pixels as they are shown.

// Places in a picture are far from the bounds of whole numbers.
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;

use base64::Engine as _;
use contrastive_dynamics::save::replace;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
pub(crate) use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Out, Outcome};

/// Units of the drawing in a pixel.
const FINE: f64 = 10.0;

/// The fill of the k-th place that is kept for a raster is this and k.
const PLACE: u32 = 0x00fe_0100;

// Colours that are told apart by the colour-blind, and in grey by their lightness (Okabe and Ito).
pub(crate) const INK: RGBColor = RGBColor(0, 0, 0);
pub(crate) const BLUE: RGBColor = RGBColor(0, 86, 160);
pub(crate) const RED: RGBColor = RGBColor(213, 94, 0);
pub(crate) const SKY: RGBColor = RGBColor(86, 180, 233);
pub(crate) const ORANGE: RGBColor = RGBColor(230, 159, 0);
pub(crate) const GREEN: RGBColor = RGBColor(0, 135, 100);
pub(crate) const GREY: RGBColor = RGBColor(130, 130, 130);

/// In units of the drawing.
fn fine(pixels: f64) -> i32 {
    (pixels * FINE).round() as i32
}

/// What an example draws on.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// An axis with its ticks.
struct Axis {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        low + (part * f64::from(high - low)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pen {
    pub(crate) color: RGBColor,
    pub(crate) width: f64,
    /// Pixels drawn and left out, by turns; solid if empty.
    pub(crate) dash: &'static [i32],
}

/// Pens for curves that are compared: they differ in colour, in lightness and in their dashes.
pub(crate) const PENS: [Pen; 6] = [
    Pen { color: BLUE, width: 2.0, dash: &[] },
    Pen { color: RED, width: 2.0, dash: &[9, 4] },
    Pen { color: INK, width: 1.6, dash: &[3, 3] },
    Pen { color: SKY, width: 2.4, dash: &[] },
    Pen { color: ORANGE, width: 2.4, dash: &[14, 3] },
    Pen { color: GREY, width: 2.0, dash: &[5, 5] },
];

impl Pen {
    /// Solid and two pixels wide.
    pub(crate) const fn new(color: RGBColor) -> Self {
        Self { color, width: 2.0, dash: &[] }
    }

    pub(crate) const fn width(self, width: f64) -> Self {
        Self { width, ..self }
    }

    pub(crate) const fn dashed(self, dash: &'static [i32]) -> Self {
        Self { dash, ..self }
    }

    fn style(self) -> ShapeStyle {
        self.color.stroke_width(fine(self.width).unsigned_abs())
    }
}

/// A mark at a point.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mark {
    Disk,
    Ring,
    /// A ring whose left half is filled.
    Half,
    Square,
    Cross,
}

/// What stands before an entry of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sign {
    Line(Pen),
    Mark(Mark, RGBColor),
    /// A line with marks on it.
    Both(Pen, Mark),
    /// A filled area: its colour, and how opaque it is.
    Area(RGBColor, f64),
    Arrow(RGBColor),
}

/// An axis: its label with units, its range, and how it is divided.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    label: String,
    range: Range<f64>,
    log: bool,
    ticks: usize,
}

impl Scale {
    pub(crate) fn linear(label: impl Into<String>, range: Range<f64>) -> Self {
        Self { label: label.into(), range, log: false, ticks: 6 }
    }

    pub(crate) fn log(label: impl Into<String>, range: Range<f64>) -> Self {
        Self { label: label.into(), range, log: true, ticks: 6 }
    }

    /// With about that many ticks.
    pub(crate) fn ticks(self, ticks: usize) -> Self {
        Self { ticks, ..self }
    }

    /// The range that shows all of these, with a little room.
    pub(crate) fn around(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        let ends = |(a, b): (f64, f64), x: f64| (a.min(x), b.max(x));
        let (low, high) = values.into_iter().filter(|x| x.is_finite()).fold((f64::INFINITY, -f64::INFINITY), ends);
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let room = 0.06 * (high - low).max(1e-9);
        Self::linear(label, low - room..high + room)
    }

    fn place(&self, x: f64) -> f64 {
        if self.log { x.log10() } else { x }
    }

    fn places(&self) -> Range<f64> {
        self.place(self.range.start)..self.place(self.range.end)
    }

    /// The step between ticks: 1, 2 or 5 times a power of ten.
    fn step(&self) -> f64 {
        let Range { start, end } = self.places();
        let rough = (end - start) / self.ticks as f64;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|x| x * power).into_iter().find(|&step| step >= 0.8 * rough);
        let step = step.unwrap_or(rough);
        if self.log { step.max(1.0).round() } else { step }
    }

    fn tick_places(&self) -> Vec<f64> {
        let (Range { start, end }, step) = (self.places(), self.step());
        let (first, last) = ((start / step - 1e-9).ceil() as i64, (end / step + 1e-9).floor() as i64);
        (first..=last).map(|k| k as f64 * step).collect()
    }

    fn tick(&self, place: f64) -> String {
        if self.log {
            let k = place.round() as i32;
            return if (-3..=3).contains(&k) { format!("{}", 10.0_f64.powi(k)) } else { format!("10{}", raised(k)) };
        }
        let decimals = (1e-9 - self.step().log10().floor()).max(0.0) as usize;
        // Adding zero turns −0 into 0.
        format!("{:.decimals$}", (place / self.step()).round() * self.step() + 0.0)
    }
}

/// A whole number as an exponent.
fn raised(k: i32) -> String {
    let digit = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        c => char::from_u32(0x2070 + c.to_digit(10).unwrap_or(0)).unwrap_or(c),
    };
    k.to_string().chars().map(digit).collect()
}

/// Draws on white and writes the picture, all of it or nothing, as NAME.svg.
pub(crate) fn write(
    out: &Out,
    name: &str,
    (width, height): (u32, u32),
    draw: impl FnOnce(&mut Canvas, &Area<'_>) -> Outcome,
) -> Outcome {
    let (fine_width, fine_height) = (fine(width.into()), fine(height.into()));
    let (mut picture, mut canvas) = (String::new(), Canvas { rasters: Vec::new() });
    let size = (fine_width.unsigned_abs(), fine_height.unsigned_abs());
    let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
    area.fill(&WHITE)?;
    draw(&mut canvas, &area)?;
    area.present()?;
    drop(area);
    let drawn = format!("width=\"{fine_width}\" height=\"{fine_height}\" viewBox");
    let shown = format!("width=\"{width}\" height=\"{height}\" viewBox");
    let picture = canvas.fill_in(&picture.replacen(&drawn, &shown, 1))?;
    fs::create_dir_all(&out.folder)?;
    let path = out.folder.join(format!("{name}.svg"));
    replace(&path, picture.as_bytes())?;
    println!("picture written to {}", path.display());
    Ok(())
}

/// Cells, row by row from below, as colours.
struct Raster {
    columns: usize,
    rows: usize,
    colors: Vec<RGBColor>,
}

impl Raster {
    /// As an address that is the picture itself.
    fn address(&self) -> Outcome<String> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, u32::try_from(self.columns)?, u32::try_from(self.rows)?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let from_above = self.colors.chunks(self.columns).rev().flatten();
        let bytes: Vec<u8> = from_above.flat_map(|color| [color.0, color.1, color.2]).collect();
        encoder.write_header()?.write_image_data(&bytes)?;
        Ok(format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(file)))
    }
}

/// Keeps the rasters of a picture until it is written.
pub(crate) struct Canvas {
    rasters: Vec<Raster>,
}

impl Canvas {
    /// Puts the rasters at the places kept for them.
    fn fill_in(&self, picture: &str) -> Outcome<String> {
        let mut whole = String::with_capacity(picture.len());
        for line in picture.lines() {
            let place = (0..self.rasters.len())
                .find(|&k| line.starts_with("<rect") && line.contains(&format!("fill=\"#{:06X}\"", PLACE + k as u32)));
            let Some(k) = place else {
                writeln!(whole, "{line}")?;
                continue;
            };
            let raster = &self.rasters[k];
            let end = line.find(" opacity").ok_or("a place without its size")?;
            let (size, address) = (&line["<rect".len()..end], raster.address()?);
            write!(
                whole,
                "<image{size} preserveAspectRatio=\"none\" image-rendering=\"optimizeSpeed\" style=\"image-rendering:pixelated\" "
            )?;
            writeln!(whole, "href=\"{address}\"/>")?;
        }
        Ok(whole)
    }
}

/// A part of the picture, with a title and two axes.
pub(crate) struct Plot<'a, 'b> {
    chart: ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>,
    x: Scale,
    y: Scale,
}

impl<'a, 'b: 'a> Plot<'a, 'b> {
    /// Draws title and axes.
    pub(crate) fn new(area: &'a Area<'b>, title: &str, x: Scale, y: Scale) -> Outcome<Self> {
        let axis = |scale: &Scale| Axis { range: scale.places(), ticks: scale.tick_places() };
        let widest = y.tick_places().into_iter().map(|place| y.tick(place).chars().count()).max().unwrap_or(1);
        let mut builder = ChartBuilder::on(area);
        builder.margin(fine(10.0)).margin_right(fine(16.0)).x_label_area_size(fine(42.0));
        builder.y_label_area_size(fine(34.0 + 8.0 * widest as f64));
        if !title.is_empty() {
            builder.caption(title, ("sans-serif", 17.0 * FINE));
        }
        let mut chart = builder.build_cartesian_2d(axis(&x), axis(&y))?;
        chart
            .configure_mesh()
            .x_desc(x.label.as_str())
            .y_desc(y.label.as_str())
            .x_labels(x.tick_places().len().max(2))
            .y_labels(y.tick_places().len().max(2))
            .x_label_formatter(&|place| x.tick(*place))
            .y_label_formatter(&|place| y.tick(*place))
            .label_style(("sans-serif", 13.0 * FINE))
            .axis_desc_style(("sans-serif", 14.0 * FINE))
            .axis_style(INK.stroke_width(fine(1.0).unsigned_abs()))
            .set_all_tick_mark_size(fine(5.0))
            .disable_mesh()
            .draw()?;
        Ok(Self { chart, x, y })
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.x.place(x), self.y.place(y))
    }

    /// A line through the points, cut where one of them is not finite.
    pub(crate) fn line(&mut self, points: impl IntoIterator<Item = (f64, f64)>, pen: Pen) -> Outcome {
        let points: Vec<(f64, f64)> = points.into_iter().map(|point| self.at(point)).collect();
        for part in points.split(|point| !point.0.is_finite() || !point.1.is_finite()) {
            let part = part.iter().copied();
            if let [on, off] = *pen.dash {
                let (on, off) = (on * fine(1.0), off * fine(1.0));
                self.chart.draw_series(DashedLineSeries::new(part, on, off, pen.style()))?;
            } else {
                self.chart.draw_series(LineSeries::new(part, pen.style()))?;
            }
        }
        Ok(())
    }

    /// A mark at each of the points, of that radius.
    pub(crate) fn marks(
        &mut self,
        points: impl IntoIterator<Item = (f64, f64)>,
        mark: Mark,
        color: RGBColor,
        radius: f64,
    ) -> Outcome {
        for point in points {
            let at = self.chart.backend_coord(&self.at(point));
            draw_mark(self.chart.plotting_area(), at, mark, color, radius)?;
        }
        Ok(())
    }

    /// The area between two lines over the same x: (x, lower y, upper y).
    pub(crate) fn band(
        &mut self,
        points: impl IntoIterator<Item = (f64, f64, f64)>,
        color: RGBColor,
        opacity: f64,
    ) -> Outcome {
        let points: Vec<(f64, f64, f64)> = points.into_iter().collect();
        let lower = points.iter().map(|&(x, low, _)| self.at((x, low)));
        let upper = points.iter().rev().map(|&(x, _, high)| self.at((x, high)));
        let outline: Vec<(f64, f64)> = lower.chain(upper).collect();
        self.chart.draw_series([Polygon::new(outline, color.mix(opacity).filled())])?;
        Ok(())
    }

    /// A rectangle between two corners.
    pub(crate) fn rectangle(&mut self, corners: [(f64, f64); 2], color: RGBColor, opacity: f64) -> Outcome {
        let corners = corners.map(|corner| self.at(corner));
        self.chart.draw_series([Rectangle::new(corners, color.mix(opacity).filled())])?;
        Ok(())
    }

    /// An arrow.
    pub(crate) fn arrow(&mut self, from: (f64, f64), to: (f64, f64), color: RGBColor) -> Outcome {
        let (from, to) = (self.at(from), self.at(to));
        let (from, to) = (self.chart.backend_coord(&from), self.chart.backend_coord(&to));
        draw_arrow(self.chart.plotting_area(), from, to, color)
    }

    /// Words at a point, to the right of it.
    pub(crate) fn text(&mut self, at: (f64, f64), text: &str, color: RGBColor) -> Outcome {
        let (x, y) = self.chart.backend_coord(&self.at(at));
        draw_text(self.chart.plotting_area(), (x + fine(5.0), y), text, color)
    }

    /// Cells of equal size between the corners, column i and row j from the lower left, as one image.
    pub(crate) fn raster(
        &mut self,
        canvas: &mut Canvas,
        corners: [(f64, f64); 2],
        (columns, rows): (usize, usize),
        color: impl Fn(usize, usize) -> RGBColor,
    ) -> Outcome {
        let k = PLACE + u32::try_from(canvas.rasters.len())?;
        let [_, red, green, blue] = k.to_be_bytes();
        self.rectangle(corners, RGBColor(red, green, blue), 1.0)?;
        let colors = (0..rows).flat_map(|j| (0..columns).map(move |i| (i, j))).map(|(i, j)| color(i, j)).collect();
        canvas.rasters.push(Raster { columns, rows, colors });
        Ok(())
    }
}

type Plain<'b, C> = DrawingArea<SVGBackend<'b>, C>;

fn draw_mark<C: CoordTranslate>(
    area: &Plain<'_, C>,
    at: (i32, i32),
    mark: Mark,
    color: RGBColor,
    radius: f64,
) -> Outcome {
    let area = area.strip_coord_spec();
    let ((left, top), r) = (area.get_base_pixel(), fine(radius));
    let (x, y) = (at.0 - left, at.1 - top);
    let outline = color.stroke_width(fine(1.6).unsigned_abs());
    match mark {
        Mark::Disk => area.draw(&Circle::new((x, y), r, color.filled()))?,
        Mark::Ring => {
            area.draw(&Circle::new((x, y), r, WHITE.filled()))?;
            area.draw(&Circle::new((x, y), r, outline))?;
        }
        Mark::Half => {
            area.draw(&Circle::new((x, y), r, WHITE.filled()))?;
            let half = (0..=24).map(|k| std::f64::consts::PI * (0.5 + f64::from(k) / 24.0));
            let edge = |turn: f64| (x + (f64::from(r) * turn.cos()) as i32, y + (f64::from(r) * turn.sin()) as i32);
            area.draw(&Polygon::new(half.map(edge).collect::<Vec<_>>(), color.filled()))?;
            area.draw(&Circle::new((x, y), r, outline))?;
        }
        Mark::Square => area.draw(&Rectangle::new([(x - r, y - r), (x + r, y + r)], color.filled()))?,
        Mark::Cross => {
            area.draw(&PathElement::new(vec![(x - r, y - r), (x + r, y + r)], outline))?;
            area.draw(&PathElement::new(vec![(x - r, y + r), (x + r, y - r)], outline))?;
        }
    }
    Ok(())
}

fn draw_arrow<C: CoordTranslate>(area: &Plain<'_, C>, from: (i32, i32), to: (i32, i32), color: RGBColor) -> Outcome {
    let area = area.strip_coord_spec();
    let (left, top) = area.get_base_pixel();
    let from = (f64::from(from.0 - left), f64::from(from.1 - top));
    let to = (f64::from(to.0 - left), f64::from(to.1 - top));
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1e-9);
    let head = (4.5 * FINE).min(0.6 * length) / length;
    let side = |turn: f64| (to.0 - head * (dx + 0.5 * turn * dy), to.1 - head * (dy - 0.5 * turn * dx));
    let whole = |(x, y): (f64, f64)| (x.round() as i32, y.round() as i32);
    let style = color.stroke_width(fine(1.0).unsigned_abs());
    area.draw(&PathElement::new(vec![whole(from), whole(to)], style))?;
    area.draw(&PathElement::new(vec![whole(side(1.0)), whole(to), whole(side(-1.0))], style))?;
    Ok(())
}

fn draw_text<C: CoordTranslate>(area: &Plain<'_, C>, at: (i32, i32), text: &str, color: RGBColor) -> Outcome {
    let area = area.strip_coord_spec();
    let (left, top) = area.get_base_pixel();
    let style = ("sans-serif", 13.0 * FINE).into_text_style(&area).color(&color);
    let style = style.pos(Pos::new(HPos::Left, VPos::Center));
    area.draw(&Text::new(text.to_owned(), (at.0 - left, at.1 - top), style))?;
    Ok(())
}

/// Writes a key along the lower edge of an area, and gives back the rest of it.
pub(crate) fn key<'b>(area: &Area<'b>, entries: &[(impl AsRef<str>, Sign)]) -> Outcome<Area<'b>> {
    const SIGN: f64 = 34.0;
    const LINE: f64 = 22.0;
    let whole = f64::from(area.dim_in_pixel().0) / FINE - 24.0;
    // Of sans-serif letters of 13 pixels.
    let width = |text: &str| SIGN + 7.2 * text.chars().count() as f64 + 18.0;
    let (mut lines, mut used) = (vec![Vec::new()], 0.0);
    for (text, sign) in entries {
        let width = width(text.as_ref());
        if used + width > whole && used > 0.0 {
            lines.push(Vec::new());
            used = 0.0;
        }
        if let Some(line) = lines.last_mut() {
            line.push((used, text.as_ref(), *sign));
        }
        used += width;
    }
    let height = LINE * lines.len() as f64 + 8.0;
    let (rest, strip) = area.split_vertically(area.dim_in_pixel().1 as i32 - fine(height));
    let (left, top) = strip.get_base_pixel();
    for (k, line) in lines.iter().enumerate() {
        let length = line.last().map_or(0.0, |(at, text, _)| at + width(text));
        let margin = 12.0 + 0.5 * (whole - length).max(0.0);
        for &(at, text, sign) in line {
            let (x, y) = (left + fine(margin + at), top + fine(LINE * (k as f64 + 0.5)));
            draw_sign(&strip, (x, y), sign)?;
            draw_text(&strip, (x + fine(SIGN), y), text, INK)?;
        }
    }
    Ok(rest)
}

fn draw_sign(strip: &Area<'_>, (x, y): (i32, i32), sign: Sign) -> Outcome {
    let (left, top) = strip.get_base_pixel();
    let (from, to, middle) = ((x, y), (x + fine(28.0), y), (x + fine(14.0), y));
    let inside = |(x, y): (i32, i32)| (x - left, y - top);
    match sign {
        Sign::Line(pen) | Sign::Both(pen, _) => {
            let (on, off) =
                if let [on, off] = *pen.dash { (fine(on.into()), fine(off.into())) } else { (fine(28.0), 1) };
            for k in 0.. {
                let start = from.0 + k * (on + off);
                if start >= to.0 {
                    break;
                }
                let ends = [(start, y), ((start + on).min(to.0), y)].map(inside);
                strip.draw(&PathElement::new(ends, pen.style()))?;
            }
            if let Sign::Both(pen, mark) = sign {
                draw_mark(strip, middle, mark, pen.color, 4.0)?;
            }
        }
        Sign::Mark(mark, color) => draw_mark(strip, middle, mark, color, 4.5)?,
        Sign::Area(color, opacity) => {
            let corners = [(x + fine(4.0), y - fine(6.0)), (x + fine(24.0), y + fine(6.0))].map(inside);
            strip.draw(&Rectangle::new(corners, color.mix(opacity).filled()))?;
        }
        Sign::Arrow(color) => draw_arrow(strip, from, (x + fine(22.0), y), color)?,
    }
    Ok(())
}
