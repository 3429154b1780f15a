# Not run: written without Homebrew. For a tap; `make formula` writes it to dist/ with the address and sum of the sdist.
# A formula in Homebrew's own collection would have to list each dependency as a resource.
class Fclocal < Formula
  include Language::Python::Virtualenv

  desc "Function calls you can trust from local GGUF models"
  homepage "https://github.com/fclocal/fclocal"
  url "https://files.pythonhosted.org/packages/source/f/fclocal/fclocal-VERSION.tar.gz"
  sha256 "SHA256"
  license "MIT"

  depends_on "cmake" => :build
  depends_on "ninja" => :build
  depends_on "python@3.13"

  # pip takes the dependencies from its index: wheels of all but llama.cpp, which is built here, on a Mac with Metal.
  def install
    virtualenv_create(libexec, "python3.13", without_pip: false)
    system libexec/"bin/python", "-m", "pip", "install", "--no-cache-dir", buildpath
    bin.install_symlink libexec/"bin/fclocal"
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
