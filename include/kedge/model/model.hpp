// Model: immutable weights and configuration, shared by any number of sessions. Weights are packed
// into 16-row panels in the order in which a step reads them; on an accelerator they lie in its
// memory, once, in rows as files have them.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kedge/backend/accelerator.hpp"
#include "kedge/backend/cpu.hpp"
#include "kedge/core/buffer.hpp"
#include "kedge/model/config.hpp"
#include "kedge/model/estimate.hpp"
#include "kedge/model/files.hpp"

namespace kedge::inline KEDGE_ABI {

// What a load or any other long work reports; return false to stop it (Code::cancelled).
struct Progress {
  bool (*report)(void* context, const char* what, double done) noexcept = nullptr;
  void* context = nullptr;
};

// Matrices are in panels, or in rows on an accelerator, norms and biases F32. What an architecture
// or a layer does not have is empty.
struct LayerWeights {
  Tensor attention_norm;  // of the mixer, whatever it is
  Tensor q, k, v, q_bias, k_bias, v_bias;
  Tensor q_norm, k_norm;  // [head_dim]
  Tensor attention_gate;  // [heads * head_dim, width]
  Tensor attention_output, attention_output_bias;
  // Of a delta mixer (op/gated_delta.hpp): sizes are those of ModelConfig::recurrent.
  Tensor delta_qkv, delta_z;        // [channels, width], [values, width]
  Tensor alpha, beta;               // [value_heads, width]
  Tensor conv;                      // [taps, channels]
  Tensor dt_bias, a_scale;          // [value_heads]
  Tensor delta_norm, delta_output;  // [value_dim], [width, values]
  Tensor feed_forward_norm;
  Tensor gate, up, down, gate_bias, up_bias, down_bias;
};

struct ModelWeights {
  Tensor embedding;  // [vocabulary, width]
  std::vector<LayerWeights> layers;
  Tensor output_norm;
  Tensor output;  // [vocabulary, width]; the embedding itself when tied
};

// Memory of weights: one buffer, or several where a device allocates no more at once, or a mapped
// file.
class WeightMemory {
 public:
  void add(Buffer part) { parts_.push_back(std::move(part)); }
  void add(std::shared_ptr<const io::Safetensors> file, std::size_t bytes) {
    file_ = std::move(file);
    mapped_ = bytes;
  }
  std::size_t size() const noexcept {
    std::size_t bytes = mapped_;
    for (const Buffer& part : parts_) bytes += part.size();
    return bytes;
  }

 private:
  std::vector<Buffer> parts_;
  std::shared_ptr<const io::Safetensors> file_;
  std::size_t mapped_ = 0;
};

// A file of a model's weights as they lie in memory, which the next load maps instead of packing
// them: it is usable at once, and pages are read when a step first needs them. It belongs to the
// files it was made from (sizes, times, and of every tensor its name, place and samples are
// compared; all bytes of what is not a file), to the format that they were quantized to, and to the
// CPU. Written is only where nothing is or a file of packed weights: never over a model's own.
struct PackedWeights {
  enum class Mode : std::uint8_t {
    use,          // an error where it is absent or of other weights
    make,         // packs, and writes the file
    use_or_make,  // uses it if it fits; else packs and replaces it
  };
  std::string path;  // empty: none
  Mode mode = Mode::use_or_make;
  // Reads all of it and compares with what was written: an error, or in use_or_make a new file,
  // where bytes changed on the disk.
  bool verify = false;
};

// What became of it: whether the weights are the mapped file, or the file was written; and if not,
// or not at once, why.
struct PackedOutcome {
  bool mapped = false, made = false;
  std::string why;
};

class KEDGE_API Model {
 public:
  struct Options {
    // Where the weights go and sessions on this model compute: Vulkan::accelerator(), or
    // Cpu::accelerator(), which is none.
    std::shared_ptr<Accelerator> accelerator;
    Executor* executor = nullptr;  // packs with its workers; null: the calling thread
    // Matrices of F32, F16 or BF16 become this format (kedge/core/quantize.hpp), the others stay as
    // they are. None: all stay.
    std::optional<Element> quantize;
    // A NaN or infinity among the weights, or in the scale of a block, is an error that names the
    // tensor and the value (Code::numeric).
    bool check_weights = true;
    // Most bytes that weights and the buffers of loading may take; 0: no limit. Refused with both
    // numbers (Code::out_of_memory) before anything is allocated.
    std::uint64_t memory_budget = 0;
    PackedWeights packed;
    // Both are looked at many times a second, also within a tensor.
    Progress progress;
    const std::atomic<bool>* cancel = nullptr;
    Allocator allocator = default_allocator();
  };

  // Errors name the file and the key or tensor. The files are not needed after the call.
  static Result<std::shared_ptr<const Model>> load(const ModelFiles& files,
                                                   const Options& options) noexcept;
  static Result<std::shared_ptr<const Model>> load(const io::Gguf& file,
                                                   const Options& options) noexcept;
  // A GGUF file, a shard of one, or a folder: ModelFiles::open().
  static Result<std::shared_ptr<const Model>> load(const char* path,
                                                   const Options& options) noexcept;

  // What load() and a session of this shape will take, without loading: only names and shapes are
  // read. Fails where load() would fail for them.
  static Result<MemoryEstimate> estimate(const ModelFiles& files, const Options& options,
                                         const SessionShape& shape) noexcept;
  // The same of a loaded model, where `loading` is 0.
  Result<MemoryEstimate> estimate(const SessionShape& shape) const noexcept;

  // Positions that a session's memory may have room for within `budget` bytes; 0: not even one.
  Result<std::int64_t> largest_context(const SessionShape& shape,
                                       std::uint64_t budget) const noexcept;
  // Code::out_of_memory with needed and allowed bytes, and with the context that would fit, when a
  // session of this shape takes more than `budget` bytes beside the model's weights; 0: no limit.
  Status check_budget(const SessionShape& shape, std::uint64_t budget) const noexcept;

  const ModelConfig& config() const noexcept { return config_; }
  // Null: the CPU.
  const std::shared_ptr<Accelerator>& accelerator() const noexcept { return accelerator_; }
  // For the caches and states of sequences on this model (their Options::storage).
  Allocator state_storage() const noexcept {
    return accelerator_ == nullptr ? Allocator{} : accelerator_->memory(DeviceMemory::state);
  }
  const ModelWeights& weights() const noexcept { return weights_; }

  // Of configuration and weights: tells saved states of different models apart (core/hash.hpp).
  std::uint64_t fingerprint() const noexcept { return fingerprint_; }

  const PackedOutcome& packed() const noexcept { return packed_; }
  std::size_t weight_bytes() const noexcept { return memory_.size(); }
  // Bytes of weights that a step reads once, whatever its rows: the floor of its time.
  std::size_t step_bytes() const noexcept { return step_bytes_; }

 private:
  friend class ModelLoader;
  ModelConfig config_;
  ModelWeights weights_;
  std::shared_ptr<Accelerator> accelerator_;
  WeightMemory memory_;
  PackedOutcome packed_;
  Buffer rope_factors_;
  std::size_t step_bytes_ = 0;
  std::uint64_t stored_bytes_ = 0;
  std::uint64_t fingerprint_ = 0;
};

}  // namespace kedge::inline KEDGE_ABI
