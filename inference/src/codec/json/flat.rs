//! Nested lists of one input, flattened into its elements while their shape is found.

use serde::de::{self, MapAccess, SeqAccess};

use super::any::{from_text, Any, Context, Scalar, Target};
use crate::codec::conform::{self, MOST_AXES};
use crate::codec::element::{empty, owned, Element, Misfit};
use crate::codec::error::misfit;
use crate::codec::DecodeError;
use crate::each_type;
use crate::model::{Dim, Port};
use crate::tensor::{Data, ElementType};

/// The size of an axis that no list has closed yet.
const OPEN: usize = usize::MAX;

/// The shape of nested lists, as far as it has been seen.
#[derive(Default)]
pub(super) struct Grid {
    dims: Vec<usize>,
    /// The depth at which scalars stand, once one has been seen.
    leaf: Option<usize>,
    /// Position in each list that is open.
    path: Vec<usize>,
    /// Whether a scalar at depth 1 stands for a list of one: rows of a `[N,1]` column.
    pub(super) lone: bool,
}

/// Lists that do not form a grid: what is wrong.
type Ragged = String;

impl Grid {
    /// A list opens at `depth`.
    pub(super) fn open(&mut self, depth: usize) -> Result<(), Ragged> {
        if depth >= MOST_AXES {
            return Err(format!("lists nest more than {MOST_AXES} deep"));
        }
        if self.leaf.is_some_and(|leaf| depth >= leaf) {
            return Err("a list where other rows have a value".to_owned());
        }
        while self.dims.len() <= depth {
            self.dims.push(OPEN);
            self.path.push(0);
        }
        Ok(())
    }

    /// The list at `depth` goes on to its member `index`.
    #[inline]
    pub(super) fn step(&mut self, depth: usize, index: usize) {
        if let Some(place) = self.path.get_mut(depth) {
            *place = index;
        }
    }

    /// The list at `depth` closes after `count` members.
    pub(super) fn close(&mut self, depth: usize, count: usize) -> Result<(), Ragged> {
        match self.dims.get_mut(depth) {
            Some(size) if *size == OPEN => *size = count,
            Some(size) if *size != count => {
                return Err(format!(
                    "ragged: {count} members where earlier lists have {size}"
                ));
            }
            _ => {}
        }
        Ok(())
    }

    /// A scalar stands at `depth`, which is not yet known to be where they stand.
    fn scalar(&mut self, depth: usize) -> Result<(), Ragged> {
        if self.lone && depth == 1 {
            return self.block(1, &[1]);
        }
        if self.leaf.is_none() && self.dims.len() <= depth {
            self.leaf = Some(depth);
            return Ok(());
        }
        Err("a value where other rows have a list".to_owned())
    }

    /// A scalar stands at `depth`.
    #[inline]
    pub(super) fn leaf_at(&mut self, depth: usize) -> Result<(), Ragged> {
        match self.leaf == Some(depth) {
            true => Ok(()),
            false => self.scalar(depth),
        }
    }

    /// A whole block of scalars of this shape stands at `depth`.
    pub(super) fn block(&mut self, depth: usize, shape: &[usize]) -> Result<(), Ragged> {
        for (axis, &size) in (depth..).zip(shape) {
            self.open(axis)?;
            self.close(axis, size)?;
        }
        let leaf = depth + shape.len();
        if self.leaf == Some(leaf) {
            return Ok(());
        }
        if self.leaf.is_none() && self.dims.len() <= leaf {
            self.leaf = Some(leaf);
            return Ok(());
        }
        Err("a value where other rows have a list".to_owned())
    }

    /// Where the lists up to `depth` stand, as `[1][0]`.
    fn place(&self, depth: usize) -> String {
        let mut place = String::new();
        for index in self.path.iter().take(depth) {
            place.push_str(&format!("[{index}]"));
        }
        place
    }

    /// The shape found.
    pub(super) fn into_shape(self) -> Vec<usize> {
        self.dims
    }

    /// The shape found so far.
    pub(super) fn shape(&self) -> &[usize] {
        &self.dims
    }
}

/// What a request says about one input.
pub(super) struct Column<'s> {
    pub(super) port: &'s Port,
    pub(super) element: ElementType,
    pub(super) data: Data,
    pub(super) grid: Grid,
    /// How often the input has been given: once, or once a row.
    pub(super) given: usize,
}

impl<'s> Column<'s> {
    /// `room` bounds the elements that are made room for in advance.
    pub(super) fn new(port: &'s Port, room: usize) -> Result<Self, DecodeError> {
        let element = conform::element(port)?;
        let mut data = empty(element);
        let count = one_record(port).filter(|count| *count <= room).unwrap_or(0);
        each_type!(&mut data, buffer => {
            owned(buffer).reserve_exact(count);
        });
        Ok(Self {
            port,
            element,
            data,
            grid: Grid::default(),
            given: 0,
        })
    }

    /// A refusal about this input at a place inside it.
    pub(super) fn at(&self, depth: usize, what: &str) -> DecodeError {
        located(self.port, &self.grid, depth, what)
    }
}

/// Elements of the input where every free axis has size 1.
fn one_record(port: &Port) -> Option<usize> {
    let (_, dims) = port.tensor()?;
    dims?.iter().try_fold(1usize, |count, dim| match dim {
        Dim::Fixed(size) => count.checked_mul(*size),
        _ => Some(count),
    })
}

fn located(port: &Port, grid: &Grid, depth: usize, what: &str) -> DecodeError {
    let place = grid.place(depth);
    let at = if place.is_empty() { "" } else { " at " };
    misfit(format!("input {}{at}{place}: {what}", port.name))
}

/// Runs `$body` with `$flat` bound to the typed reader of `$slot`'s column.
macro_rules! typed {
    ($slot:expr, $flat:ident => $body:expr) => {{
        let Slot {
            column,
            context,
            depth,
        } = $slot;
        let Column {
            port, data, grid, ..
        } = column;
        each_type!(data, buffer => {
            let $flat = &mut Flat { out: owned(buffer), grid, port, context, depth };
            $body
        })
    }};
}

/// A place in a request where the value of an input stands: the list nesting there is `depth`.
pub(super) struct Slot<'a, 's> {
    pub(super) column: &'a mut Column<'s>,
    pub(super) context: &'a Context,
    pub(super) depth: usize,
}

impl Slot<'_, '_> {
    /// One value by its text.
    pub(super) fn raw<E: de::Error>(self, text: &str) -> Result<(), E> {
        typed!(self, flat => from_text(flat, text))
    }

    /// As many zeros as `count` says.
    pub(super) fn zeros<E: de::Error>(self, count: usize) -> Result<(), E> {
        typed!(self, flat => flat.zeros(count))
    }

    /// The rest of a list whose first `count` members have been read; closes it.
    pub(super) fn rest<'de, A: SeqAccess<'de>>(
        self,
        list: A,
        count: usize,
    ) -> Result<(), A::Error> {
        typed!(self, flat => flat.members(list, count))
    }
}

impl<'de> Target<'de> for Slot<'_, '_> {
    fn context(&self) -> &Context {
        self.context
    }

    fn number<E: de::Error>(self, text: &str) -> Result<(), E> {
        typed!(self, flat => flat.number(text))
    }

    fn scalar<E: de::Error>(self, scalar: Scalar<'_>) -> Result<(), E> {
        typed!(self, flat => flat.scalar(scalar))
    }

    fn list<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        typed!(self, flat => flat.list(list))
    }

    fn object<A: MapAccess<'de>>(self, object: A) -> Result<(), A::Error> {
        typed!(self, flat => flat.object(object))
    }
}

/// The typed reader behind a [`Slot`]: one for all nesting, handed down by reference, so that a
/// member costs the parser one word to pass on.
struct Flat<'a, T> {
    out: &'a mut Vec<T>,
    grid: &'a mut Grid,
    port: &'a Port,
    context: &'a Context,
    /// The list nesting where the reader stands.
    depth: usize,
}

impl<T: Element> Flat<'_, T> {
    // Always: this and `scalar` are all that happens between two numbers of a large tensor.
    #[inline(always)]
    fn push<E: de::Error>(&mut self, element: Result<T, Misfit>) -> Result<(), E> {
        let element = match element {
            Ok(element) => element,
            Err(misfit) => return Err(self.misfit(misfit)),
        };
        if self.grid.leaf != Some(self.depth) {
            self.check_scalar()?;
        }
        self.out.push(element);
        Ok(())
    }

    fn zeros<E: de::Error>(&mut self, count: usize) -> Result<(), E> {
        if count == 0 {
            return Ok(());
        }
        // The first says whether there is such an element here.
        self.push(T::unsigned(0))?;
        if let Some(zero) = self.out.last().cloned() {
            let length = self.out.len().saturating_add(count - 1);
            self.out.resize(length, zero);
        }
        Ok(())
    }

    #[inline(never)]
    fn check_scalar<E: de::Error>(&mut self) -> Result<(), E> {
        self.grid
            .scalar(self.depth)
            .map_err(|ragged| self.refuse(self.depth, &ragged))
    }

    #[cold]
    fn refuse<E: de::Error>(&self, depth: usize, what: &str) -> E {
        self.context
            .refuse(located(self.port, self.grid, depth, what))
    }

    #[cold]
    fn misfit<E: de::Error>(&self, misfit: Misfit) -> E {
        let expected = self.port.tensor().map(|(element, _)| element);
        let what = misfit.describe(expected.unwrap_or(ElementType::String));
        self.refuse(self.depth, &what)
    }

    #[inline]
    fn members<'de, A: SeqAccess<'de>>(
        &mut self,
        mut list: A,
        first: usize,
    ) -> Result<(), A::Error> {
        let depth = self.depth;
        self.depth = depth + 1;
        let mut count = first;
        loop {
            self.grid.step(depth, count);
            if list.next_element_seed(Any(&mut *self))?.is_none() {
                break;
            }
            count += 1;
        }
        self.depth = depth;
        self.grid
            .close(depth, count)
            .map_err(|ragged| self.refuse(depth, &ragged))
    }
}

impl<'de, T: Element> Target<'de> for &mut Flat<'_, T> {
    #[inline]
    fn context(&self) -> &Context {
        self.context
    }

    fn number<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.push(T::decimal(text))
    }

    #[inline(always)]
    fn scalar<E: de::Error>(self, scalar: Scalar<'_>) -> Result<(), E> {
        match scalar {
            Scalar::Float(number) if T::unsure(number) => Err(self.context.ask_exact()),
            Scalar::Float(number) => self.push(T::float(number)),
            Scalar::Unsigned(number) => self.push(T::unsigned(number)),
            Scalar::Signed(number) => self.push(T::signed(number)),
            Scalar::Text(text) => self.push(T::text(text)),
            Scalar::Bool(value) => self.push(T::boolean(value)),
            Scalar::Null => self.push(T::null()),
        }
    }

    #[inline]
    fn list<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        if let Err(ragged) = self.grid.open(self.depth) {
            return Err(self.refuse(self.depth.min(4), &ragged));
        }
        self.members(list, 0)
    }

    fn object<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.misfit(Misfit::Kind("an object")))
    }
}
