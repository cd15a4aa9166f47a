//! The planner by linear program: solve, round down, fill what rounding left, and prove the bound by the prices.

use crate::network::{
    fill::Filling,
    greedy::{Draft, answer, greedy, prices_of},
    network::Network,
    plan::{Basis, Budget, Held, NetworkPlan, NetworkPlanner},
    problem::{Problem, RowIndex},
    simplex::{Basic, Form, Solution, Start, solve},
};

/// A gap above this, in parts of the bound, calls for the greedy planner too: it may do better where tasks are so
/// large that rounding matters.
const GAP_LARGE: i128 = 200;

/// The linear program, by a simplex method for this very structure, with rounding.
///
/// When it ends within its budget, its plan does not depend on the hint: values are told apart by less than a
/// millionth, so that there is one optimum. When the budget ends it first, the plan is the best of what the pivots
/// found and of [`crate::network::Greedy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Linear;

impl NetworkPlanner for Linear {
    fn plan(&self, network: &Network, hint: Option<&NetworkPlan>, budget: Budget) -> NetworkPlan {
        let rows = RowIndex::new(network);
        let problem = Problem::new(network, &rows);
        let form = Form::new(network, &problem);
        let start = hint.map_or_else(Start::default, |hint| start(network, &rows, &problem, &form, hint));
        let solution = solve(&form, &start, budget.pivots_max);
        let mut draft = round(&problem, &form, &solution);
        if !solution.solved || (draft.bound - draft.value).saturating_mul(GAP_LARGE) > draft.bound {
            let prices = hint.filter(|_| !solution.solved).map(|hint| prices_of(network, &rows, hint));
            let other = greedy(&problem, prices.as_deref(), budget.rounds_max);
            draft.offer_filling(&problem, other.filling);
            draft.offer_prices(&problem, other.prices);
        }
        let basis = basis(network, &rows, &problem, &form, &solution);
        let plan = answer(network, &rows, &problem, draft);
        NetworkPlan { basis, pivots: solution.pivots, solved: solution.solved, ..plan }
    }
}

/// Whole tasks of every part, as far as they fit; then what is left, first by prices, then by value.
fn round(problem: &Problem, form: &Form, solution: &Solution<'_>) -> Draft {
    let [prices, exact] = solution.prices().map(|prices| form.prices(problem, &prices));
    let mut filling = Filling::new(problem);
    for (column, part) in solution.working.parts() {
        if let Some(at) = form.problem_column(column) {
            let class = form.class(column);
            let tasks = part * problem.classes[class].tasks as f64;
            // A cast rounds down; what is a whole number but for rounding shall not lose a task.
            filling.take(problem, class, at, (tasks + 1e-6) as u64);
        }
    }
    // Basic choices gain nothing by these prices, and rounding may have made it a little less than nothing.
    let lower: Vec<u128> = prices.iter().map(|price| price - price / 1_024).collect();
    filling.fill(problem, &lower);
    filling.fill(problem, &vec![0; prices.len()]);
    let (value, bound) = (filling.value(problem), problem.bound(&prices));
    let mut draft = Draft { filling, value, prices, bound };
    draft.offer_prices(problem, exact);
    draft
}

/// The basis of a hint in the numbers of this network. What is gone is left out.
fn start(network: &Network, rows: &RowIndex, problem: &Problem, form: &Form, hint: &NetworkPlan) -> Start {
    let mut start = Start { keys: vec![None; form.classes()], beside: Vec::new(), tight: vec![false; form.rows()] };
    for held in &hint.basis.held {
        let Some(class) = network.class_index(held.class) else {
            continue;
        };
        let column = match &held.place {
            None => Some(form.span(class).end - 1),
            Some((centre, pool, slot)) => network.pool_index(centre, pool).and_then(|pool| {
                let place = |column: &usize| (problem.columns[*column].pool as usize, problem.columns[*column].slot);
                let span = problem.span(class);
                let at = span.clone().collect::<Vec<_>>().binary_search_by_key(&(pool, *slot), place).ok()?;
                Some(form.column_of(class, span.start + at))
            }),
        };
        match (column, start.keys[class]) {
            (Some(column), None) => start.keys[class] = Some(column),
            (Some(column), Some(key)) if column != key => start.beside.push(column),
            _ => {}
        }
    }
    let tight: Vec<u32> = hint.basis.tight.iter().filter_map(|scarce| rows.row_of(network, scarce)).collect();
    for (row, flag) in start.tight.iter_mut().enumerate() {
        *flag = tight.iter().any(|&tight| tight as usize == form.problem_row(row));
    }
    start
}

/// The basis by names.
fn basis(network: &Network, rows: &RowIndex, problem: &Problem, form: &Form, solution: &Solution<'_>) -> Basis {
    let working = &solution.working;
    let held = |column: usize| {
        let place = form.problem_column(column).map(|at| {
            let at = &problem.columns[at];
            let place = network.pools[at.pool as usize];
            let centre = &network.model.centres[place.centre];
            (centre.id.clone(), centre.pools[place.pool].id.clone(), at.slot)
        });
        Held { class: network.model.classes[form.class(column)].id, place }
    };
    let mut tight = vec![true; form.rows()];
    let mut beside = Vec::new();
    for &basic in &working.basic {
        match basic {
            Basic::Slack(row) => tight[row] = false,
            Basic::Column(column) => beside.push(column),
        }
    }
    beside.sort_unstable();
    let all = working.key.iter().chain(&beside).map(|&column| held(column)).collect();
    let full = (0..form.rows()).filter(|&row| tight[row]).map(|row| rows.scarce(network, form.problem_row(row)));
    Basis { held: all, tight: full.collect() }
}
