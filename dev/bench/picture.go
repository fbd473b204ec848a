package bench

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// colors of the layouts, in the order of the table. Colour-blind readers can distinguish them too.
var colors = []color.Color{
	color.RGBA{0x66, 0x66, 0x66, 0xff},
	color.RGBA{0xd5, 0x5e, 0x00, 0xff},
	color.RGBA{0x00, 0x72, 0xb2, 0xff},
	color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.RGBA{0xcc, 0x79, 0xa7, 0xff},
	color.RGBA{0xe6, 0x9f, 0x00, 0xff},
}

// draw writes the picture: the first up of each layout, as times that of plain SQL, by number of
// tenants. Dots are measured, hollow ones with stand-ins; dashes are extrapolated.
func (r *results) draw(path string) error {
	p := plot.New()
	p.Title.Text = "First up: how many times as long as plain SQL (dashed: extrapolated)"
	p.X.Label.Text, p.Y.Label.Text = "tenants", "× plain SQL"
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{}, ticks{}
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding = vg.Points(3)
	p.Add(plotter.NewGrid())
	drawn := 0
	for _, env := range r.environments() {
		sql := map[int]float64{}
		lines := map[layout][]row{}
		for _, row := range r.rows(env) {
			if row.layout.Kind == plainSQL {
				sql[row.tenants] = row.seconds[stepUp]
			}
			lines[row.layout] = append(lines[row.layout], row)
		}
		for _, l := range r.layouts(env) {
			if err := r.drawLine(p, env, l, lines[l], sql, colors[drawn%len(colors)]); err != nil {
				return err
			}
			drawn++
		}
	}
	if drawn == 0 {
		return nil
	}
	p.Y.Min = min(p.Y.Min, 1)
	p.X.Max *= 1.6 // room for the last label
	p.Y.Max *= 3   // room for the legend
	return p.Save(20*vg.Centimeter, 12*vg.Centimeter, path)
}

// drawLine draws one layout in one environment.
func (r *results) drawLine(p *plot.Plot, env environment, l layout, rows []row, sql map[int]float64, c color.Color) error {
	var measured, all plotter.XYs
	for _, row := range rows {
		if sql[row.tenants] == 0 || row.seconds[stepUp] == 0 {
			continue
		}
		point := plotter.XY{X: float64(row.tenants), Y: row.seconds[stepUp] / sql[row.tenants]}
		if row.measured != nil {
			measured = append(measured, point)
		}
		all = append(all, point)
	}
	if len(measured) == 0 {
		return nil
	}
	dashes, err := plotter.NewLine(all)
	if err != nil {
		return err
	}
	dashes.Color, dashes.Dashes = c, []vg.Length{vg.Points(4), vg.Points(4)}
	line, dots, err := plotter.NewLinePoints(measured)
	if err != nil {
		return err
	}
	line.Color, line.Width, dots.Color, dots.Radius = c, vg.Points(1.5), c, vg.Points(3.5)
	dots.Shape = draw.CircleGlyph{}
	if env.StandIns {
		dots.Shape = draw.RingGlyph{}
	}
	p.Add(dashes, line, dots)
	p.Legend.Add(fmt.Sprintf("%s%s", l, r.mark(env)), line, dots)
	return nil
}

// ticks label 1, 2 and 5 of every power of ten.
type ticks struct{}

// Ticks returns the ticks between two values.
func (ticks) Ticks(low, high float64) (all []plot.Tick) {
	for power := 0.001; power <= high; power *= 10 {
		for _, factor := range []float64{1, 2, 5} {
			if value := power * factor; value >= low*0.999 && value <= high*1.001 {
				all = append(all, plot.Tick{Value: value, Label: number(value)})
			}
		}
	}
	return all
}
