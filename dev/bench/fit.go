package bench

import (
	"maps"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// curve is a + b·n + c·n², with no coefficient below 0.
type curve [3]float64

func (c curve) at(n float64) float64 { return c[0] + c[1]*n + c[2]*n*n }

// fit finds the curve of at most the degree with the least squares of relative errors, so that a
// small stack counts as much as a large one. It needs a point more than the degree.
func fit(points map[int]float64, degree int) (best curve, ok bool) {
	if len(points) <= degree {
		return best, false
	}
	ns := slices.Sorted(maps.Keys(points))
	least := math.Inf(1)
	// Of all subsets of the terms, the best one that has no coefficient below 0.
	for subset := 1; subset < 1<<(degree+1); subset++ {
		c, ok := solve(points, ns, subset)
		if !ok || slices.Min(c[:]) < 0 {
			continue
		}
		sum := 0.0
		for _, n := range ns {
			sum += math.Pow(c.at(float64(n))/points[n]-1, 2)
		}
		// A further term has to be worth it by more than rounding.
		if sum < least-1e-12 {
			best, least = c, sum
		}
	}
	return best, !math.IsInf(least, 1)
}

// solve is the least-squares curve that has only the terms n^i whose bit i is set.
func solve(points map[int]float64, ns []int, subset int) (c curve, ok bool) {
	var powers []int
	for power := range c {
		if subset&(1<<power) != 0 {
			powers = append(powers, power)
		}
	}
	terms, ones := mat.NewDense(len(ns), len(powers), nil), mat.NewVecDense(len(ns), nil)
	for row, n := range ns {
		for column, power := range powers {
			terms.Set(row, column, math.Pow(float64(n), float64(power))/points[n])
		}
		ones.SetVec(row, 1)
	}
	var solution mat.VecDense
	if err := solution.SolveVec(terms, ones); err != nil {
		return c, false
	}
	for i, power := range powers {
		c[power] = solution.AtVec(i)
	}
	return c, true
}
