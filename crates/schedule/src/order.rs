//! Whose turn it is: the queues of all shapes merged into one, a job at a time.

use std::{cmp::Reverse, collections::BinaryHeap};

use huisuan_model::{JobId, TimeMs};

use crate::snapshot::{JobView, ShapeView};

/// Priority falling, then deadline, then submission, then id: a total order. Without a deadline it is behind all that
/// have one.
type Turn = (Reverse<i32>, TimeMs, TimeMs, JobId);

/// Jobs of all shapes in queue order. A shape's next job joins the merge only when the shape is
/// [advanced](Queue::advance), so that a shape without hope costs nothing more.
pub(crate) struct Queue<'a> {
    shapes: &'a [ShapeView],
    /// The first job of each shape that still takes part; at most one a shape.
    heads: BinaryHeap<Reverse<(Turn, usize)>>,
    /// For each shape the index of its next job.
    next: Vec<usize>,
}

impl<'a> Queue<'a> {
    /// A queue of the shapes that `takes_part` lets in, by their index.
    pub(crate) fn new(shapes: &'a [ShapeView], takes_part: impl Fn(usize) -> bool) -> Self {
        let mut queue = Queue { shapes, heads: BinaryHeap::new(), next: vec![0; shapes.len()] };
        for shape in (0..shapes.len()).filter(|&shape| takes_part(shape)) {
            queue.advance(shape);
        }
        queue
    }

    /// The index of the shape whose turn it is and its job. The shape is out until it is advanced.
    pub(crate) fn pop(&mut self) -> Option<(usize, &'a JobView)> {
        let Reverse((_, shape)) = self.heads.pop()?;
        Some((shape, &self.shapes[shape].jobs[self.next[shape] - 1]))
    }

    /// Lets the shape's next job take part; nothing when it has no more.
    pub(crate) fn advance(&mut self, shape: usize) {
        if let Some(job) = self.shapes[shape].jobs.get(self.next[shape]) {
            self.next[shape] += 1;
            let deadline = job.deadline_at.unwrap_or(TimeMs(i64::MAX));
            self.heads.push(Reverse(((Reverse(job.priority), deadline, job.submitted_at, job.id), shape)));
        }
    }
}
