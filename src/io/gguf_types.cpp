// Names and sizes of the format's types.
#include "kedge/io/gguf.hpp"

namespace kedge::inline KEDGE_ABI::io {

const char* to_string(GgufValue::Type type) noexcept {
  constexpr const char* names[] = {"u8",      "i8",     "u16",   "i16", "u32", "i32", "f32",
                                   "boolean", "string", "array", "u64", "i64", "f64"};
  const auto index = static_cast<std::uint32_t>(type);
  return index < std::size(names) ? names[index] : "unknown";
}

GgmlType ggml_type(std::uint32_t number) noexcept {
  const auto computed = [](const char* name, Element element) {
    return GgmlType{name, traits(element).block, traits(element).bytes, true, element};
  };
  const auto listed = [](const char* name, std::uint32_t block, std::uint32_t bytes) {
    return GgmlType{name, block, bytes, false, Element::f32};
  };
  switch (number) {
#define KEDGE_FORMAT(stem, Type) \
  case format::Type::gguf_type:  \
    return computed(format::Type::gguf_name, Element::stem);
    KEDGE_WEIGHT_FORMATS(KEDGE_FORMAT)
#undef KEDGE_FORMAT
    case 10:
      return listed("Q2_K", 256, 84);
    case 11:
      return listed("Q3_K", 256, 110);
    case 16:
      return listed("IQ2_XXS", 256, 66);
    case 17:
      return listed("IQ2_XS", 256, 74);
    case 18:
      return listed("IQ3_XXS", 256, 98);
    case 19:
      return listed("IQ1_S", 256, 50);
    case 20:
      return listed("IQ4_NL", 32, 18);
    case 21:
      return listed("IQ3_S", 256, 110);
    case 22:
      return listed("IQ2_S", 256, 82);
    case 23:
      return listed("IQ4_XS", 256, 136);
    case 24:
      return listed("I8", 1, 1);
    case 25:
      return listed("I16", 1, 2);
    case 26:
      return listed("I32", 1, 4);
    case 27:
      return listed("I64", 1, 8);
    case 28:
      return listed("F64", 1, 8);
    case 29:
      return listed("IQ1_M", 256, 56);
    case 34:
      return listed("TQ1_0", 256, 54);
    case 35:
      return listed("TQ2_0", 256, 66);
    case 39:
      return listed("MXFP4", 32, 17);
    default:
      return {};
  }
}

}  // namespace kedge::inline KEDGE_ABI::io
