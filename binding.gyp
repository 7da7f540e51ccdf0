# Builds the addon with node-gyp: `npm install`, or `npx node-gyp rebuild`. native/CMakeLists.txt builds the same sources for
# development (sanitizers, tests without Node).
#
# native/sources.txt is compiled once, for the oldest processor. native/kernels.txt is compiled once for each instruction set, into a
# library and a C++ namespace of its own; native/runtime/registry.cc picks one when a plan is loaded.
{
  'variables': {
    'baseline_sources': ['<!@(node -p "require(\'fs\').readFileSync(\'native/sources.txt\', \'utf8\')")'],
    'kernel_sources': ['<!@(node -p "require(\'fs\').readFileSync(\'native/kernels.txt\', \'utf8\')")'],
    # -ffp-contract=off: otherwise a*b+c becomes one rounding where the instruction set can and two where it cannot, and
    # instruction sets would disagree. -mprfchw: processors that do not know the instruction skip it.
    'common_flags': ['-O3', '-ffp-contract=off', '-fvisibility=hidden', '-Wall', '-Wextra', '-Wno-psabi'],
    'avx2_flags': ['-mavx2', '-mfma', '-mprfchw'],
    'avx512_flags': ['-mavx512f', '-mavx512dq', '-mavx512bw', '-mavx512vl', '-mavx2', '-mfma', '-mprfchw', '-mprefer-vector-width=512'],
  },
  'target_defaults': {
    'cflags': ['<@(common_flags)'],
    'cflags_cc': ['-std=c++17'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-std=gnu++1y'],
    'cflags!': ['-Wno-unused-parameter'],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'GCC_OPTIMIZATION_LEVEL': '3',
      'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
      'OTHER_CFLAGS': ['<@(common_flags)'],
    },
  },
  'targets': [
    {
      'target_name': 'thalweg',
      'sources': ['<@(baseline_sources)'],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': [
        'NAPI_VERSION=8',
        'NAPI_DISABLE_CPP_EXCEPTIONS',
        # A worker thread that is being terminated can take no exception; without this, node-addon-api ends the process.
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      # The standard library throws when memory runs out. Every entry point catches that.
      'cflags_cc': ['-fexceptions'],
      'cflags_cc!': ['-fno-exceptions'],
      'xcode_settings': {'GCC_ENABLE_CPP_EXCEPTIONS': 'YES'},
      'dependencies': ['kernels_portable'],
      'conditions': [
        ['target_arch == "x64"', {'dependencies': ['kernels_avx2', 'kernels_avx512']}],
        ['target_arch == "arm64"', {'dependencies': ['kernels_neon']}],
        # One file that runs wherever the C library is new enough. Only Node's entry points are visible: otherwise the dynamic linker
        # would mix this copy of the C++ library with the one in Node.js itself.
        ['OS == "linux"', {
          'ldflags': ['-static-libstdc++', '-static-libgcc', '-Wl,--version-script=<(module_root_dir)/native/binding/exports.map'],
        }],
      ],
    },
    {
      'target_name': 'kernels_portable',
      'type': 'static_library',
      'sources': ['<@(kernel_sources)'],
      'defines': ['THALWEG_ISA=portable', 'THALWEG_ISA_PORTABLE=1'],
    },
  ],
  'conditions': [
    ['target_arch == "x64"', {
      'targets': [
        {
          'target_name': 'kernels_avx2',
          'type': 'static_library',
          'sources': ['<@(kernel_sources)'],
          'defines': ['THALWEG_ISA=avx2', 'THALWEG_ISA_AVX2=1'],
          'cflags': ['<@(avx2_flags)'],
          'xcode_settings': {'OTHER_CFLAGS': ['<@(avx2_flags)']},
        },
        {
          'target_name': 'kernels_avx512',
          'type': 'static_library',
          'sources': ['<@(kernel_sources)'],
          'defines': ['THALWEG_ISA=avx512', 'THALWEG_ISA_AVX512=1'],
          'cflags': ['<@(avx512_flags)'],
          'xcode_settings': {'OTHER_CFLAGS': ['<@(avx512_flags)']},
        },
      ],
    }],
    ['target_arch == "arm64"', {
      'targets': [
        {
          'target_name': 'kernels_neon',
          'type': 'static_library',
          'sources': ['<@(kernel_sources)'],
          'defines': ['THALWEG_ISA=neon', 'THALWEG_ISA_NEON=1'],
        },
      ],
    }],
  ],
}
