# Not run: written without Homebrew. At a release, url and sha256 are those of the sdist (`make dist` prints the sum), and
# `brew update-python-resources fclocal` writes the resources, which stand here for the wheels that pip would fetch.
class Fclocal < Formula
  include Language::Python::Virtualenv

  desc "Function calls you can trust from local GGUF models"
  homepage "https://github.com/fclocal/fclocal"
  url "https://files.pythonhosted.org/packages/source/f/fclocal/fclocal-0.1.0.tar.gz"
  sha256 "0" * 64
  license "MIT"

  depends_on "cmake" => :build
  depends_on "ninja" => :build
  depends_on "rust" => :build
  depends_on "python@3.13"

  def install
    ENV["CMAKE_ARGS"] = "-DGGML_NATIVE=OFF"
    virtualenv_install_with_resources
  end

  service do
    run [opt_bin/"fclocal", "serve"]
    keep_alive crashed: true
    log_path var/"log/fclocal.log"
    error_log_path var/"log/fclocal.log"
  end

  test do
    assert_match "84", shell_output("#{bin}/fclocal chat 'What is 12 * (3 + 4)?'")
  end
end
