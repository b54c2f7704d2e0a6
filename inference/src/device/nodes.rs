//! Which provider really runs a model's nodes.

/// Operators that are named where nodes stay on the CPU.
const MOST_NAMED: usize = 5;
/// The provider that takes whatever no other one takes.
const CPU: &str = "CPUExecutionProvider";

/// A model's nodes by provider, as ONNX Runtime has assigned them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nodes {
    by_provider: Vec<(String, usize)>,
    /// Operators of the nodes on the CPU.
    on_cpu: Vec<(String, usize)>,
}

impl Nodes {
    /// One more node of this operator is on that provider.
    pub fn count(&mut self, provider: &str, operator: &str) {
        add(&mut self.by_provider, provider);
        if provider == CPU {
            add(&mut self.on_cpu, operator);
        }
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> usize {
        self.by_provider.iter().map(|(_, count)| count).sum()
    }

    /// Those that a provider runs, by ONNX Runtime's name for it.
    #[must_use]
    pub fn of(&self, provider: &str) -> usize {
        let own = self.by_provider.iter().find(|(name, _)| name == provider);
        own.map_or(0, |(_, count)| *count)
    }

    /// Those that the CPU runs.
    #[must_use]
    pub fn on_cpu(&self) -> usize {
        self.of(CPU)
    }

    /// Whether the CPU runs so many that the GPU has little to do: half of them or more.
    #[must_use]
    pub fn are_mostly_on_cpu(&self) -> bool {
        2 * self.on_cpu() >= self.total()
    }

    /// The operators on the CPU, most frequent first, such as `Cast (3), TopK (1)`.
    #[must_use]
    pub fn operators_on_cpu(&self) -> String {
        let mut operators = self.on_cpu.clone();
        operators.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        let named = operators.iter().take(MOST_NAMED);
        let mut named: Vec<String> = named
            .map(|(operator, count)| format!("{operator} ({count})"))
            .collect();
        if operators.len() > MOST_NAMED {
            named.push(format!("and {} more", operators.len() - MOST_NAMED));
        }
        named.join(", ")
    }

    /// As the start has it: `120 nodes, 3 of them on the CPU`.
    #[must_use]
    pub fn line(&self) -> String {
        let total = self.total();
        let nodes = match total {
            1 => "1 node".to_owned(),
            total => format!("{total} nodes"),
        };
        match self.on_cpu() {
            own if own == total => nodes,
            0 => format!("{nodes}, none on the CPU"),
            own => format!("{nodes}, {own} of them on the CPU"),
        }
    }
}

fn add(counts: &mut Vec<(String, usize)>, name: &str) {
    match counts.iter_mut().find(|(known, _)| known == name) {
        Some((_, count)) => *count += 1,
        None => counts.push((name.to_owned(), 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_by_provider_and_those_on_the_cpu_named() {
        let mut nodes = Nodes::default();
        assert_eq!(nodes.line(), "0 nodes");
        for _ in 0..7 {
            nodes.count("CUDAExecutionProvider", "Conv");
        }
        assert_eq!(nodes.line(), "7 nodes, none on the CPU");
        assert!(!nodes.are_mostly_on_cpu());
        for operator in ["TopK", "Cast", "Cast"] {
            nodes.count(CPU, operator);
        }
        assert_eq!(nodes.line(), "10 nodes, 3 of them on the CPU");
        assert_eq!(nodes.operators_on_cpu(), "Cast (2), TopK (1)");
        assert_eq!(nodes.of("CUDAExecutionProvider"), 7);
        assert!(!nodes.are_mostly_on_cpu());
        for operator in ["A", "B", "C", "D"] {
            nodes.count(CPU, operator);
        }
        assert!(nodes.are_mostly_on_cpu());
        assert_eq!(
            nodes.operators_on_cpu(),
            "Cast (2), A (1), B (1), C (1), D (1), and 1 more"
        );
    }

    #[test]
    fn a_model_on_the_cpu_needs_no_more_words() {
        let mut nodes = Nodes::default();
        nodes.count(CPU, "Gemm");
        assert_eq!(nodes.line(), "1 node");
        nodes.count(CPU, "Gemm");
        assert_eq!(nodes.line(), "2 nodes");
    }
}
