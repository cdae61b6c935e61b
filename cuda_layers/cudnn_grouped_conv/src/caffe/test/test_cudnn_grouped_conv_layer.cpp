// Written for caffeflow, BSD-2-Clause: convolution by groups in one cuDNN call.
#ifdef USE_CUDNN
#include <cmath>
#include <vector>

#include "gtest/gtest.h"

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/filler.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "caffe/layers/cudnn_grouped_conv_layer.hpp"

#include "caffe/test/test_caffe_main.hpp"
#include "caffe/test/test_gradient_check_util.hpp"

#if CUDNN_VERSION_MIN(7, 0, 0)

namespace caffe {

// A convolution by groups from its definition, one product after the other.
template <typename Dtype>
void ConvolveByLoops(const Blob<Dtype>& bottom, const Blob<Dtype>& weight,
    const Blob<Dtype>* bias, const ConvolutionParameter& param,
    Blob<Dtype>* top) {
  const int group_size = top->channels() / param.group();
  const int dilation = param.dilation_size() ? param.dilation(0) : 1;
  for (int n = 0; n < top->num(); ++n) {
    for (int m = 0; m < top->channels(); ++m) {
      for (int y = 0; y < top->height(); ++y) {
        for (int x = 0; x < top->width(); ++x) {
          Dtype sum = bias ? bias->cpu_data()[m] : Dtype(0);
          for (int k = 0; k < weight.channels(); ++k) {
            const int c = m / group_size * weight.channels() + k;
            for (int i = 0; i < weight.height(); ++i) {
              for (int j = 0; j < weight.width(); ++j) {
                const int h =
                    y * param.stride_h() - param.pad_h() + i * dilation;
                const int w =
                    x * param.stride_w() - param.pad_w() + j * dilation;
                if (h >= 0 && h < bottom.height() &&
                    w >= 0 && w < bottom.width()) {
                  sum += bottom.data_at(n, c, h, w)
                      * weight.data_at(m, k, i, j);
                }
              }
            }
          }
          top->mutable_cpu_data()[top->offset(n, m, y, x)] = sum;
        }
      }
    }
  }
}

template <typename Dtype>
class CuDNNGroupedConvolutionLayerTest : public GPUDeviceTest<Dtype> {
 protected:
  CuDNNGroupedConvolutionLayerTest()
      : bottom_(2, 6, 7, 5), bottom_2_(2, 6, 7, 5) {
    Fill(&bottom_);
    Fill(&bottom_2_);
    bottoms_.push_back(&bottom_);
    tops_.push_back(&top_);
  }

  void Fill(Blob<Dtype>* blob) {
    FillerParameter filler_param;
    GaussianFiller<Dtype> filler(filler_param);
    filler.Fill(blob);
  }

  // Kernel, stride and pad differ in height and width.
  LayerParameter Param(int group, int num_output) {
    LayerParameter layer_param;
    ConvolutionParameter* param = layer_param.mutable_convolution_param();
    param->set_num_output(num_output);
    param->set_group(group);
    param->set_kernel_h(3);
    param->set_kernel_w(2);
    param->set_stride_h(2);
    param->set_stride_w(1);
    param->set_pad_h(1);
    param->set_pad_w(2);
    param->mutable_weight_filler()->set_type("gaussian");
    param->mutable_bias_filler()->set_type("gaussian");
    return layer_param;
  }

  void CheckTop(const Layer<Dtype>& layer, const Blob<Dtype>& bottom,
      const Blob<Dtype>& top) {
    const ConvolutionParameter& param =
        layer.layer_param().convolution_param();
    Blob<Dtype> expected(top.shape());
    vector<shared_ptr<Blob<Dtype> > > blobs =
        const_cast<Layer<Dtype>&>(layer).blobs();
    ConvolveByLoops(bottom, *blobs[0],
        param.bias_term() ? blobs[1].get() : NULL, param, &expected);
    for (int i = 0; i < top.count(); ++i) {
      ASSERT_NEAR(expected.cpu_data()[i], top.cpu_data()[i], 1e-4) << i;
    }
  }

  void CheckForward(const LayerParameter& layer_param) {
    CuDNNGroupedConvolutionLayer<Dtype> layer(layer_param);
    layer.SetUp(bottoms_, tops_);
    layer.Forward(bottoms_, tops_);
    for (int i = 0; i < bottoms_.size(); ++i) {
      CheckTop(layer, *bottoms_[i], *tops_[i]);
    }
  }

  // Smaller bottoms: every value is moved for every value of the top.
  void CheckGradient(const LayerParameter& layer_param) {
    for (int i = 0; i < bottoms_.size(); ++i) {
      bottoms_[i]->Reshape(1, 6, 4, 3);
    }
    CuDNNGroupedConvolutionLayer<Dtype> layer(layer_param);
    GradientChecker<Dtype> checker(1e-2, 1e-3);
    checker.CheckGradientExhaustive(&layer, bottoms_, tops_);
  }

  Blob<Dtype> bottom_, bottom_2_, top_, top_2_;
  vector<Blob<Dtype>*> bottoms_, tops_;
};

TYPED_TEST_CASE(CuDNNGroupedConvolutionLayerTest, TestDtypes);

TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestForwardGroups) {
  this->CheckForward(this->Param(3, 9));
}

TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestForwardOneGroup) {
  this->CheckForward(this->Param(1, 5));
}

TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestForwardDepthwise) {
  this->CheckForward(this->Param(6, 6));
}

TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestForwardMultiplier) {
  this->CheckForward(this->Param(6, 12));
}

TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestForwardNoBias) {
  LayerParameter param = this->Param(2, 4);
  param.mutable_convolution_param()->set_bias_term(false);
  this->CheckForward(param);
}

TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestForwardDilation) {
  LayerParameter param = this->Param(3, 6);
  param.mutable_convolution_param()->add_dilation(2);
  this->CheckForward(param);
}

TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestForwardTwoBottoms) {
  this->bottoms_.push_back(&this->bottom_2_);
  this->tops_.push_back(&this->top_2_);
  this->CheckForward(this->Param(3, 9));
}

// Descriptors and algorithms follow the bottom's shape.
TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestForwardAfterReshape) {
  CuDNNGroupedConvolutionLayer<TypeParam> layer(this->Param(3, 9));
  layer.SetUp(this->bottoms_, this->tops_);
  layer.Forward(this->bottoms_, this->tops_);
  this->bottom_.Reshape(3, 6, 11, 13);
  this->Fill(&this->bottom_);
  layer.Forward(this->bottoms_, this->tops_);
  EXPECT_EQ(3, this->top_.num());
  EXPECT_EQ(6, this->top_.height());
  EXPECT_EQ(16, this->top_.width());
  this->CheckTop(layer, this->bottom_, this->top_);
}

// Three handles a layer: with three a group this takes gigabytes.
TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestForwardManyGroups) {
  this->bottom_.Reshape(1, 1024, 7, 5);
  this->Fill(&this->bottom_);
  this->CheckForward(this->Param(1024, 1024));
}

TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestOnTheCPU) {
  Caffe::set_mode(Caffe::CPU);
  this->CheckForward(this->Param(3, 9));
}

// Set up on the CPU, then moved.
TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestFromCPUToGPU) {
  Caffe::set_mode(Caffe::CPU);
  CuDNNGroupedConvolutionLayer<TypeParam> layer(this->Param(3, 9));
  layer.SetUp(this->bottoms_, this->tops_);
  Caffe::set_mode(Caffe::GPU);
  layer.Forward(this->bottoms_, this->tops_);
  this->CheckTop(layer, this->bottom_, this->top_);
}

TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestGradientGroups) {
  this->CheckGradient(this->Param(3, 6));
}

TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestGradientDepthwise) {
  this->CheckGradient(this->Param(6, 6));
}

TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestGradientDilation) {
  LayerParameter param = this->Param(3, 3);
  param.mutable_convolution_param()->add_dilation(2);
  this->CheckGradient(param);
}

TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestGradientTwoBottoms) {
  this->bottoms_.push_back(&this->bottom_2_);
  this->tops_.push_back(&this->top_2_);
  this->CheckGradient(this->Param(2, 4));
}

// Diffs of weights and bias add up over passes, as iter_size needs.
TYPED_TEST(CuDNNGroupedConvolutionLayerTest, TestBackwardAddsUpAsCaffes) {
  CuDNNGroupedConvolutionLayer<TypeParam> layer(this->Param(3, 9));
  layer.SetUp(this->bottoms_, this->tops_);
  LayerParameter param = this->Param(3, 9);
  ConvolutionLayer<TypeParam> reference(param);
  Blob<TypeParam> reference_bottom(this->bottom_.shape());
  reference_bottom.CopyFrom(this->bottom_);
  Blob<TypeParam> reference_top;
  vector<Blob<TypeParam>*> reference_bottoms(1, &reference_bottom);
  vector<Blob<TypeParam>*> reference_tops(1, &reference_top);
  reference.SetUp(reference_bottoms, reference_tops);
  for (int i = 0; i < 2; ++i) {
    reference.blobs()[i]->CopyFrom(*layer.blobs()[i]);
    caffe_set(layer.blobs()[i]->count(), TypeParam(0),
        layer.blobs()[i]->mutable_cpu_diff());
    caffe_set(reference.blobs()[i]->count(), TypeParam(0),
        reference.blobs()[i]->mutable_cpu_diff());
  }
  const vector<bool> propagate_down(1, true);
  for (int pass = 0; pass < 2; ++pass) {
    layer.Forward(this->bottoms_, this->tops_);
    reference.Forward(reference_bottoms, reference_tops);
    this->Fill(&reference_top);  // any values, the same for both
    caffe_copy(this->top_.count(), reference_top.cpu_data(),
        this->top_.mutable_cpu_diff());
    caffe_copy(this->top_.count(), reference_top.cpu_data(),
        reference_top.mutable_cpu_diff());
    layer.Backward(this->tops_, propagate_down, this->bottoms_);
    reference.Backward(reference_tops, propagate_down, reference_bottoms);
  }
  for (int i = 0; i < this->bottom_.count(); ++i) {
    ASSERT_NEAR(reference_bottom.cpu_diff()[i], this->bottom_.cpu_diff()[i],
        1e-4) << i;
  }
  for (int b = 0; b < 2; ++b) {
    for (int i = 0; i < layer.blobs()[b]->count(); ++i) {
      const TypeParam expected = reference.blobs()[b]->cpu_diff()[i];
      ASSERT_NEAR(expected, layer.blobs()[b]->cpu_diff()[i],
          1e-4 * (1 + std::fabs(expected))) << "blob " << b << " at " << i;
    }
  }
}

}  // namespace caffe

#endif  // CUDNN_VERSION_MIN(7, 0, 0)
#endif  // USE_CUDNN
