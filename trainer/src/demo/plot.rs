//! The demo's picture: outcome and forecast over two held-out days, and their difference.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

const SIZE: (u32, u32) = (1100, 620);
/// Minutes shown.
const SHOWN: usize = 2 * 1440;
const OUTCOME: RGBColor = RGBColor(60, 60, 60);
const FORECAST: RGBColor = RGBColor(214, 90, 30);
const BASELINE: RGBColor = RGBColor(150, 180, 215);

/// SVG text.
pub(super) fn forecast(truth: &[f32], forecasts: &[(&str, Vec<f32>)], rmse: f64) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area, truth, forecasts, rmse).map_err(|e| anyhow!("cannot draw the plot: {e}"))?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(
    area: &Area<'_>,
    truth: &[f32],
    forecasts: &[(&str, Vec<f32>)],
    rmse: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let shown = truth.len().min(SHOWN);
    let hours = |minute: usize| minute as f32 / 60.0;
    let (low, high) = truth[..shown]
        .iter()
        .fold((f32::MAX, f32::MIN), |(l, h), &y| (l.min(y), h.max(y)));
    let (upper, lower) = area.split_vertically(SIZE.1 * 2 / 3);

    let mut chart = ChartBuilder::on(&upper)
        .caption(
            "Bearing temperature: forecast 15 minutes ahead, on held-out days",
            ("sans-serif", 20),
        )
        .margin(12)
        .x_label_area_size(8)
        .y_label_area_size(56)
        .build_cartesian_2d(0f32..hours(shown), low - 2.0..high + 2.0)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_labels(0)
        .y_desc("degC")
        .draw()?;
    let curve = |y: &[f32]| {
        y[..shown]
            .iter()
            .enumerate()
            .map(|(m, &y)| (hours(m), y))
            .collect::<Vec<_>>()
    };
    chart
        .draw_series(LineSeries::new(curve(truth), OUTCOME.stroke_width(2)))?
        .label("outcome")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], OUTCOME.stroke_width(2)));
    if let Some((name, forecast)) = forecasts.last() {
        chart
            .draw_series(LineSeries::new(curve(forecast), FORECAST.stroke_width(1)))?
            .label(format!("{name}, RMSE {rmse:.3} degC"))
            .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], FORECAST));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .border_style(BLACK.mix(0.2))
        .draw()?;

    let errors = |y: &[f32]| {
        let pairs = y[..shown].iter().zip(truth).enumerate();
        pairs
            .map(|(m, (y, t))| (hours(m), y - t))
            .collect::<Vec<_>>()
    };
    let all = forecasts.iter().flat_map(|(_, y)| errors(y));
    let reach = all.fold(0f32, |reach, (_, error)| reach.max(error.abs()));
    let mut chart = ChartBuilder::on(&lower)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0f32..hours(shown), -reach..reach)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("hours")
        .y_desc("error, degC")
        .y_labels(5)
        .draw()?;
    for ((name, y), colour) in forecasts
        .first()
        .into_iter()
        .chain(forecasts.last())
        .zip([BASELINE, FORECAST])
    {
        chart
            .draw_series(LineSeries::new(errors(y), colour.stroke_width(1)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .border_style(BLACK.mix(0.2))
        .draw()?;
    area.present()?;
    Ok(())
}
