// Written for caffeflow; BSD-2-Clause.
#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"

#include "caffe/blob.hpp"
#include "caffe/common.hpp"
#include "caffe/filler.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "caffe/layers/depthwise_conv_layer.hpp"

#include "caffe/test/test_caffe_main.hpp"
#include "caffe/test/test_gradient_check_util.hpp"

namespace caffe {

// ConvolutionLayer does the same by im2col and matrices: whatever the
// settings, both must agree.
template <typename TypeParam>
class DepthwiseConvolutionLayerTest : public MultiDeviceTest<TypeParam> {
  typedef typename TypeParam::Dtype Dtype;

 protected:
  DepthwiseConvolutionLayerTest() {
    Caffe::set_random_seed(1701);
    for (int i = 0; i < 2; ++i) {
      bottoms_.push_back(NewBlob(2, 3, 7, 11));
      tops_.push_back(NewBlob(1, 1, 1, 1));
      bottom_vec_.push_back(bottoms_[i].get());
      top_vec_.push_back(tops_[i].get());
    }
    ConvolutionParameter* convolution = param_.mutable_convolution_param();
    convolution->set_group(3);
    convolution->set_num_output(3);
    convolution->add_kernel_size(3);
    convolution->mutable_weight_filler()->set_type("gaussian");
    convolution->mutable_bias_filler()->set_type("gaussian");
  }

  static shared_ptr<Blob<Dtype> > NewBlob(int n, int c, int h, int w) {
    shared_ptr<Blob<Dtype> > blob(new Blob<Dtype>(n, c, h, w));
    Fill(blob->count(), blob->mutable_cpu_data());
    return blob;
  }

  static void Fill(int count, Dtype* values) {
    caffe_rng_gaussian<Dtype>(count, Dtype(0), Dtype(1), values);
  }

  static void ExpectNear(int count, const Dtype* expected,
      const Dtype* found) {
    for (int i = 0; i < count; ++i) {
      const Dtype size = std::max<Dtype>(1, std::fabs(expected[i]));
      EXPECT_NEAR(expected[i], found[i], 1e-4 * size) << "at " << i;
    }
  }

  // One forward and two backwards, whose gradients of weights add up.
  void RunLayer(Layer<Dtype>* layer, const vector<Blob<Dtype>*>& tops) {
    layer->Forward(bottom_vec_, tops);
    for (int i = 0; i < tops.size(); ++i) {
      Caffe::set_random_seed(1702 + i);
      Fill(tops[i]->count(), tops[i]->mutable_cpu_diff());
    }
    for (int i = 0; i < layer->blobs().size(); ++i) {
      Blob<Dtype>* blob = layer->blobs()[i].get();
      caffe_set(blob->count(), Dtype(0), blob->mutable_cpu_diff());
    }
    layer->Backward(tops, vector<bool>(tops.size(), true), bottom_vec_);
    layer->Backward(tops, vector<bool>(tops.size(), true), bottom_vec_);
  }

  // Where `resize` is true, the bottoms are other than what SetUp saw.
  void CompareWithStock(bool resize = false) {
    vector<shared_ptr<Blob<Dtype> > > diffs, stock_tops;
    vector<Blob<Dtype>*> stock_top_vec;
    for (int i = 0; i < 2; ++i) {
      diffs.push_back(NewBlob(1, 1, 1, 1));
      stock_tops.push_back(NewBlob(1, 1, 1, 1));
      stock_top_vec.push_back(stock_tops[i].get());
    }
    DepthwiseConvolutionLayer<Dtype> layer(param_);
    ConvolutionLayer<Dtype> stock(param_);
    layer.SetUp(bottom_vec_, top_vec_);
    stock.SetUp(bottom_vec_, stock_top_vec);
    if (resize) {
      for (int i = 0; i < 2; ++i) { bottoms_[i]->Reshape(1, 3, 5, 4); }
    }
    RunLayer(&layer, top_vec_);
    for (int i = 0; i < 2; ++i) {
      diffs[i]->CopyFrom(*bottoms_[i], true, true);
    }
    ASSERT_EQ(stock.blobs().size(), layer.blobs().size());
    for (int i = 0; i < stock.blobs().size(); ++i) {
      stock.blobs()[i]->CopyFrom(*layer.blobs()[i]);
    }
    RunLayer(&stock, stock_top_vec);
    for (int i = 0; i < 2; ++i) {
      ASSERT_EQ(stock_tops[i]->shape(), tops_[i]->shape());
      ExpectNear(tops_[i]->count(), stock_tops[i]->cpu_data(),
          tops_[i]->cpu_data());
      ExpectNear(diffs[i]->count(), bottoms_[i]->cpu_diff(),
          diffs[i]->cpu_diff());
    }
    for (int i = 0; i < stock.blobs().size(); ++i) {
      ExpectNear(stock.blobs()[i]->count(), stock.blobs()[i]->cpu_diff(),
          layer.blobs()[i]->cpu_diff());
    }
  }

  ConvolutionParameter* settings() {
    return param_.mutable_convolution_param();
  }

  LayerParameter param_;
  vector<shared_ptr<Blob<Dtype> > > bottoms_;
  vector<shared_ptr<Blob<Dtype> > > tops_;
  vector<Blob<Dtype>*> bottom_vec_;
  vector<Blob<Dtype>*> top_vec_;
};

TYPED_TEST_CASE(DepthwiseConvolutionLayerTest, TestDtypesAndDevices);

TYPED_TEST(DepthwiseConvolutionLayerTest, TestThreeByThree) {
  this->settings()->add_pad(1);
  this->CompareWithStock();
}

TYPED_TEST(DepthwiseConvolutionLayerTest, TestStrideTwo) {
  this->settings()->add_pad(1);
  this->settings()->add_stride(2);
  this->CompareWithStock();
}

TYPED_TEST(DepthwiseConvolutionLayerTest, TestDilation) {
  this->settings()->add_pad(2);
  this->settings()->add_dilation(2);
  this->CompareWithStock();
}

TYPED_TEST(DepthwiseConvolutionLayerTest, TestMultiplierWithoutBias) {
  this->settings()->set_num_output(6);
  this->settings()->set_bias_term(false);
  this->CompareWithStock();
}

TYPED_TEST(DepthwiseConvolutionLayerTest, TestUnevenWindows) {
  ConvolutionParameter* settings = this->settings();
  settings->clear_kernel_size();
  settings->set_kernel_h(2);
  settings->set_kernel_w(5);
  settings->set_stride_h(3);
  settings->set_stride_w(2);
  settings->set_pad_h(1);
  settings->set_pad_w(3);
  settings->set_num_output(9);
  this->CompareWithStock();
}

// Two channels a group: not depthwise, so the stock code's work.
TYPED_TEST(DepthwiseConvolutionLayerTest, TestFewerGroupsThanChannels) {
  for (int i = 0; i < 2; ++i) {
    this->bottoms_[i]->Reshape(2, 6, 7, 11);
    this->Fill(this->bottoms_[i]->count(),
        this->bottoms_[i]->mutable_cpu_data());
  }
  this->CompareWithStock();
}

// Three spatial axes, too.
TYPED_TEST(DepthwiseConvolutionLayerTest, TestThreeSpatialAxes) {
  vector<int> shape(5, 3);
  shape[4] = 5;
  for (int i = 0; i < 2; ++i) {
    this->bottoms_[i]->Reshape(shape);
    this->Fill(this->bottoms_[i]->count(),
        this->bottoms_[i]->mutable_cpu_data());
  }
  this->CompareWithStock();
}

TYPED_TEST(DepthwiseConvolutionLayerTest, TestBottomOfAnotherSize) {
  this->settings()->add_pad(1);
  this->CompareWithStock(true);
}

TYPED_TEST(DepthwiseConvolutionLayerTest, TestGradient) {
  typedef typename TypeParam::Dtype Dtype;
  for (int i = 0; i < 2; ++i) { this->bottoms_[i]->Reshape(2, 3, 4, 3); }
  this->settings()->add_pad(1);
  this->settings()->add_stride(2);
  this->settings()->set_num_output(6);
  DepthwiseConvolutionLayer<Dtype> layer(this->param_);
  GradientChecker<Dtype> checker(1e-2, 1e-3);
  checker.CheckGradientExhaustive(&layer, this->bottom_vec_, this->top_vec_);
}

// Both spellings are registered; num_output and group follow the channels.
TYPED_TEST(DepthwiseConvolutionLayerTest, TestMadeByType) {
  typedef typename TypeParam::Dtype Dtype;
  this->settings()->clear_group();
  this->settings()->clear_num_output();
  const char* types[] = {"DepthwiseConvolution", "ConvolutionDepthwise"};
  for (int i = 0; i < 2; ++i) {
    this->param_.set_type(types[i]);
    shared_ptr<Layer<Dtype> > layer =
        LayerRegistry<Dtype>::CreateLayer(this->param_);
    layer->SetUp(this->bottom_vec_, this->top_vec_);
    EXPECT_STREQ(types[i], layer->type());
    EXPECT_EQ("3 1 3 3 (27)", layer->blobs()[0]->shape_string());
    EXPECT_EQ("2 3 5 9 (270)", this->tops_[0]->shape_string());
  }
}

}  // namespace caffe
