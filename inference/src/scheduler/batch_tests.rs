//! Who shares a run, and what each gets back of it, for requests of any kind.

use half::{bf16, f16};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::tensor::{element_count, Data, ElementType, Keys};

/// A request and its place in the queue.
#[derive(Debug, PartialEq)]
struct Asked {
    place: usize,
    rows: usize,
    most_rows: usize,
    inputs: Vec<Tensor>,
}

impl Records for Asked {
    fn rows(&self) -> usize {
        self.rows
    }

    fn most_rows(&self) -> usize {
        self.most_rows
    }

    fn inputs(&self) -> &[Tensor] {
        &self.inputs
    }
}

/// A port: what its elements are, and the shape of a record.
type Port = (ElementType, Vec<usize>);

/// A request's ports, what makes its records a number, and what makes its elements.
#[derive(Debug, Clone)]
struct Wish {
    kind: usize,
    rows: Option<usize>,
    most_rows: usize,
    seed: u64,
}

const TYPES: [ElementType; 14] = [
    ElementType::Bool,
    ElementType::Int8,
    ElementType::Int16,
    ElementType::Int32,
    ElementType::Int64,
    ElementType::Uint8,
    ElementType::Uint16,
    ElementType::Uint32,
    ElementType::Uint64,
    ElementType::Float16,
    ElementType::BFloat16,
    ElementType::Float32,
    ElementType::Float64,
    ElementType::String,
];

/// Elements of a type from any bits: NaNs with a payload, empty strings, letters of several bytes.
fn data(element: ElementType, count: usize, seed: u64) -> Data {
    let bits = |at: usize| (seed ^ at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    macro_rules! made {
        ($variant:ident, $from:expr) => {
            Data::$variant((0..count).map(bits).map($from).collect::<Vec<_>>().into())
        };
    }
    match element {
        ElementType::Bool => made!(Bool, |bits| bits >> 63 == 1),
        ElementType::Int8 => made!(Int8, |bits| bits as i8),
        ElementType::Int16 => made!(Int16, |bits| bits as i16),
        ElementType::Int32 => made!(Int32, |bits| bits as i32),
        ElementType::Int64 => made!(Int64, |bits| bits as i64),
        ElementType::Uint8 => made!(Uint8, |bits| bits as u8),
        ElementType::Uint16 => made!(Uint16, |bits| bits as u16),
        ElementType::Uint32 => made!(Uint32, |bits| bits as u32),
        ElementType::Uint64 => made!(Uint64, |bits| bits),
        ElementType::Float16 => made!(Float16, |bits| f16::from_bits(bits as u16)),
        ElementType::BFloat16 => made!(BFloat16, |bits| bf16::from_bits(bits as u16)),
        ElementType::Float32 => made!(Float32, |bits| f32::from_bits(bits as u32)),
        ElementType::Float64 => made!(Float64, f64::from_bits),
        ElementType::String => made!(String, |bits| "wörter"
            .chars()
            .take(bits as usize % 7)
            .collect::<String>()),
    }
}

fn tensor(element: ElementType, shape: Vec<usize>, seed: u64) -> Tensor {
    let count = element_count(&shape).unwrap();
    Tensor::new(shape, data(element, count, seed)).unwrap()
}

/// The request for a wish; without a number of records it has one that cannot be told.
fn asked(place: usize, kinds: &[Vec<Port>], wish: &Wish) -> Asked {
    let ports = &kinds[wish.kind % kinds.len()];
    let shaped = |(at, (element, record)): (usize, &Port)| {
        let shape = match wish.rows {
            Some(rows) => [&[rows], record.as_slice()].concat(),
            None if ports.len() == 1 => Vec::new(),
            None => [&[at + 1], record.as_slice()].concat(),
        };
        tensor(*element, shape, wish.seed.wrapping_add(at as u64))
    };
    let inputs: Vec<Tensor> = ports.iter().enumerate().map(shaped).collect();
    Asked {
        place,
        rows: rows_of(&inputs).unwrap_or(0),
        most_rows: wish.most_rows,
        inputs,
    }
}

fn port() -> impl Strategy<Value = Port> {
    (prop::sample::select(TYPES.to_vec()), vec(0..4_usize, 0..3))
}

/// A queue of requests of a few kinds.
fn queue() -> impl Strategy<Value = Vec<Asked>> {
    let wish = (
        any::<usize>(),
        prop::option::weighted(0.9, 0..6_usize),
        1..10_usize,
        any::<u64>(),
    );
    let wish = wish.prop_map(|(kind, rows, most_rows, seed)| Wish {
        kind,
        rows,
        most_rows,
        seed,
    });
    (vec(vec(port(), 1..4), 1..4), vec(wish, 0..24)).prop_map(|(kinds, wishes)| {
        let of = |(place, wish)| asked(place, &kinds, wish);
        wishes.iter().enumerate().map(of).collect()
    })
}

/// The types of a request's tensors and the shapes of its records.
fn kind(asked: &Asked) -> Vec<(ElementType, Option<&[usize]>)> {
    let of = |input| (Tensor::element_type(input), Tensor::shape(input).get(1..));
    asked.inputs.iter().map(of).collect()
}

fn places<'a>(all: impl IntoIterator<Item = &'a Asked>) -> Vec<usize> {
    all.into_iter().map(|asked| asked.place).collect()
}

fn is_ascending(places: &[usize]) -> bool {
    places.is_sorted_by(|a, b| a < b)
}

/// Every bit of a tensor's elements, each element's apart.
fn bits(tensor: &Tensor) -> Vec<Vec<u8>> {
    macro_rules! each {
        ($($variant:ident),*) => {
            match tensor.data() {
                $(Data::$variant(all) => all.iter().map(|one| one.to_le_bytes().to_vec()).collect(),)*
                Data::Bool(all) => all.iter().map(|one| vec![u8::from(*one)]).collect(),
                Data::String(all) => all.iter().map(|one| one.clone().into_bytes()).collect(),
            }
        };
    }
    each!(
        Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Float16, BFloat16, Float32,
        Float64
    )
}

proptest! {
    #[test]
    fn a_list_is_parted_in_order_and_nothing_goes_in_after_it_is_full(
        items in 0..40_usize,
        verdicts in vec(0..8_u8, 40),
    ) {
        let fit = |_: &[usize], next: &usize| match verdicts[*next] {
            0 => Fit::Full,
            1..4 => Fit::Stays,
            _ => Fit::Joins,
        };
        let mut left: VecDeque<usize> = (0..items).collect();
        let taken = queue::take(&mut left, fit);
        let left = Vec::from(left);
        prop_assert!(is_ascending(&taken) && is_ascending(&left));
        let mut all = [taken.clone(), left].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..items).collect::<Vec<_>>());
        let full = (1..items).find(|&item| verdicts[item] == 0).unwrap_or(items);
        let expected = (0..full).filter(|&item| item == 0 || verdicts[item] > 3);
        prop_assert_eq!(taken, expected.take(items).collect::<Vec<_>>());
    }

    #[test]
    fn a_run_is_the_oldest_and_all_that_are_like_it_and_fit(queue in queue()) {
        let total = queue.len();
        let mut left = VecDeque::from(queue);
        let taken = take_first(&mut left);
        prop_assert_eq!(taken.is_empty(), total == 0);
        // In order, nobody lost, nobody twice.
        let (went, stayed) = (places(&taken), places(&left));
        prop_assert!(is_ascending(&went) && is_ascending(&stayed), "{went:?} {stayed:?}");
        let mut all = [went, stayed].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..total).collect::<Vec<_>>());
        let Some(first) = taken.first() else {
            return Ok(());
        };
        prop_assert_eq!(first.place, 0);
        let most_rows = first.most_rows;
        let rows: usize = taken.iter().map(|asked| asked.rows).sum();
        if taken.len() > 1 {
            prop_assert!(rows <= most_rows, "{rows} records of at most {most_rows}");
            prop_assert!(taken.iter().all(|asked| asked.rows > 0 && kind(asked) == kind(first)));
        }
        // Whoever is like it and stays had no room.
        for other in &left {
            let before = taken.iter().filter(|asked| asked.place < other.place);
            let before: usize = before.map(|asked| asked.rows).sum();
            let joins = first.rows > 0 && other.rows > 0 && kind(other) == kind(first);
            prop_assert!(!joins || before + other.rows > most_rows, "{} stays", other.place);
        }
    }

    #[test]
    fn a_queue_is_run_to_its_end_with_nobody_left_or_run_twice(queue in queue()) {
        let total = queue.len();
        let mut left = VecDeque::from(queue);
        let mut ran = Vec::new();
        for _ in 0..total {
            ran.extend(places(&take_first(&mut left)));
        }
        prop_assert!(left.is_empty());
        ran.sort_unstable();
        prop_assert_eq!(ran, (0..total).collect::<Vec<_>>());
    }

    #[test]
    fn a_model_that_gives_back_what_it_got_gives_everybody_their_own(
        queue in queue(),
        as_maps in any::<bool>(),
    ) {
        let mut left = VecDeque::from(queue);
        while !left.is_empty() {
            let taken = take_first(&mut left);
            if taken[0].rows == 0 {
                continue;
            }
            let together = joined(&taken).expect("they join");
            let rows: usize = taken.iter().map(|asked| asked.rows).sum();
            prop_assert!(together.iter().all(|input| input.shape()[0] == rows));
            let outputs: Vec<Value> = together.into_iter().map(|all| output(all, as_maps)).collect();
            let parts = split(&outputs, &taken).expect("they part");
            prop_assert_eq!(parts.len(), taken.len());
            for (asked, own) in taken.iter().zip(&parts) {
                prop_assert_eq!(own.len(), asked.inputs.len());
                for (input, output) in asked.inputs.iter().zip(own) {
                    let output = content(output);
                    prop_assert_eq!(input.shape(), output.shape());
                    prop_assert_eq!(input.element_type(), output.element_type());
                    prop_assert_eq!(bits(input), bits(output));
                }
            }
            // An output with one record fewer, or more, is nobody's.
            for other in [rows - 1, rows + 1] {
                let wrong = |all| Value::Tensor(repeat(content(all), other));
                let wrong: Vec<Value> = outputs.iter().map(wrong).collect();
                prop_assert_eq!(split(&wrong, &taken), None);
            }
        }
    }
}

/// A tensor as a model's output; as maps where it has a row of values for each record.
fn output(all: Tensor, as_maps: bool) -> Value {
    match *all.shape() {
        [_, keys] if as_maps => Value::Maps {
            keys: std::sync::Arc::new(Keys::Int64((0..keys as i64).collect())),
            values: all,
        },
        _ => Value::Tensor(all),
    }
}

fn content(value: &Value) -> &Tensor {
    match value {
        Value::Tensor(tensor) | Value::Maps { values: tensor, .. } => tensor,
        other => panic!("{other:?}"),
    }
}

/// A tensor of so many records, made of those of another.
fn repeat(all: &Tensor, rows: usize) -> Tensor {
    let twice = Tensor::concat_rows(&[all, all]).unwrap();
    twice.slice_rows(0..rows)
}
